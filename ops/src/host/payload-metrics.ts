/** The `millrace_payload_*` families, read when somebody scrapes. They are there before the first payload, with zeros. */
import type { PayloadCounters } from "@millrace/engine";
import { Counter, Gauge, type Registry } from "prom-client";
import type { HostPayloads } from "./host-payloads.ts";

interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  readonly of: keyof PayloadCounters;
}

const FAMILIES: readonly Family[] = [
  { name: "puts_total", help: "Payloads written into shared memory.", kind: "counter", of: "puts" },
  { name: "put_bytes_total", help: "Their bytes.", kind: "counter", of: "putBytes" },
  { name: "opens_total", help: "Payloads opened by their readers.", kind: "counter", of: "opens" },
  { name: "copies_total", help: "Openings that copied the bytes.", kind: "counter", of: "copies" },
  { name: "copied_bytes_total", help: "Bytes that they copied.", kind: "counter", of: "copiedBytes" },
  { name: "restores_total", help: "Payloads brought back from the archive.", kind: "counter", of: "restores" },
  { name: "evictions_total", help: "Payloads that made room for others.", kind: "counter", of: "evictions" },
  { name: "spills_total", help: "Payloads that found no room in memory.", kind: "counter", of: "spills" },
  { name: "archived_bytes_total", help: "Bytes written to the archive.", kind: "counter", of: "archivedBytes" },
  { name: "live_count", help: "Payloads in shared memory.", kind: "gauge", of: "livePayloads" },
  { name: "live_bytes", help: "Their bytes.", kind: "gauge", of: "liveBytes" },
  { name: "live_bytes_max", help: "The most that were there at once.", kind: "gauge", of: "liveBytesMax" },
  { name: "holds", help: "Uses of payloads that have not ended.", kind: "gauge", of: "holds" },
];

export function registerPayloadMetrics(registry: Registry, payloads: HostPayloads): void {
  for (const { name, help, kind, of } of FAMILIES) {
    const options = { name: `millrace_payload_${name}`, help, registers: [registry] };
    const read = (): number => payloads.exchange.counters()[of];
    if (kind === "gauge") {
      new Gauge({
        ...options,
        collect() {
          this.set(read());
        },
      });
    } else {
      new Counter({
        ...options,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    }
  }
}
