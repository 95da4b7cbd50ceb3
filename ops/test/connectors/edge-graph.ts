/** The graph that tests of edges run, in the test's process, with its edges local or over a broker: both must give the same. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { edgeCarriers, type GraphStatus, parseGraph, systemEnv, type Transport } from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import type { Host } from "../../src/host/host.ts";
import { memoryHost } from "../../src/host/memory-host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";

const env = systemEnv();
const BY = { principal: "test", reason: "edges" };
export const EDGE_POLICY = {
  backoffMs: 10,
  backoffMaxMs: 100,
  suspendAfter: 50,
  probeEveryMs: 500,
  probeTimeoutMs: 300,
};

/** A diamond, a node with state in the middle, two sinks: every kind of edge. */
const graph = (via: string): string => `name: edges
nodes:
  in:      { kind: source, from: "file:./in.ndjson", time: at, batch: 100 }
  even:    { kind: filter, input: in, where: "event.n % 2 == 0" }
  third:   { kind: filter, input: in, where: "event.n % 3 == 0" }
  both:    { kind: merge, inputs: [even, third] }
  minutes: { kind: window, input: both, tumbling: 10s, by: { k: "event.k" }, compute: { n: count(), sum: sum(event.n) } }
  big:     { kind: filter, input: minutes, where: "event.n > 0" }
  sums:    { kind: sink, input: big, to: "file:sums.ndjson" }
  evens:   { kind: sink, input: even, to: "file:evens.ndjson" }
defaults: { edge: { via: ${via}, capacity: 2000 } }
`;

export interface Results {
  readonly sums: readonly string[];
  readonly evens: readonly string[];
}

type Broker = "kafka" | "nats";

export class EdgeGraph {
  readonly #directory = mkdtempSync(join(tmpdir(), "millrace-edges-"));
  readonly #via: Broker;
  readonly #scope: string;
  #closing: (() => Promise<unknown>)[] = [];

  /** @param scope first part of the subjects of edges */
  constructor(via: Broker, scope: string, count: number) {
    this.#via = via;
    this.#scope = scope;
    const rows = Array.from({ length: count }, (_, n) => ({ n, k: n % 5, at: new Date(n * 20).toISOString() }));
    writeFileSync(join(this.#directory, "in.ndjson"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  }

  /** What is called before the directory goes, the last first. */
  onClose(close: () => Promise<unknown>): void {
    this.#closing.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Runs the graph over the transport until it is done, or stopped. */
  deploy(transport: Transport): Promise<Host> {
    return this.#deploy(this.#via, transport);
  }

  /** What a run over the transport has written. */
  results(): Results {
    return this.#resultsOf(this.#via);
  }

  /** What the graph writes with all edges in the process. */
  async expected(): Promise<Results> {
    await done(await this.#deploy("local"));
    return this.#resultsOf("local");
  }

  async #deploy(via: Broker | "local", transport?: Transport): Promise<Host> {
    const host = memoryHost(memoryEventLog({ env }), {
      untilDone: true,
      carriers: (program) =>
        transport === undefined ? undefined : edgeCarriers(program, this.#via, { transport, env, scope: this.#scope }),
    });
    this.onClose(() => host.close("the test is over"));
    const text = graph(via);
    const parsed = parseGraph(text);
    if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
    const options = { dir: this.#directory, out: join(this.#directory, via), env, tables: new ProjectionTables() };
    await host.add(await compileGraph(parsed.graph, text, options), BY);
    return host;
  }

  #resultsOf(out: string): Results {
    const lines = (name: string): string[] =>
      readFileSync(join(this.#directory, out, name), "utf8")
        .split("\n")
        .filter(Boolean);
    // Windows close in the order of their ends; which key is first depends on the order of arrival.
    return { sums: lines("sums.ndjson").sort(), evens: lines("evens.ndjson") };
  }
}

export const done = (host: Host): Promise<void> => host.running("edges").runtime.whenFinished;

export const statusOf = (host: Host): GraphStatus => host.status("edges") as GraphStatus;

export function differences(got: Results, wanted: Results): string {
  const count = (a: readonly string[], b: readonly string[]): number => {
    const known = new Map<string, number>();
    for (const line of b) known.set(line, (known.get(line) ?? 0) + 1);
    return a.filter((line) => {
      const left = known.get(line) ?? 0;
      known.set(line, left - 1);
      return left <= 0;
    }).length;
  };
  const all = (of: Results): readonly string[] => [...of.sums, ...of.evens];
  return `${count(all(wanted), all(got))} lost, ${count(all(got), all(wanted))} twice or wrong`;
}
