/** Emits what the host says of itself, as `{ at, cpu, memory, load, loop_lag_ms, resident_bytes, heap_bytes }`. */
import { type CommittedBehavior, type Draft, type Env, type HostProbe, isoTime, RowBatch } from "@millrace/engine";
import { tickingBehavior } from "./metronome.ts";

export interface TelemetryOptions {
  readonly probe: HostProbe;
  /** Default 1000. */
  readonly everyMs?: number;
}

export function telemetry({ probe, everyMs = 1000 }: TelemetryOptions, env: Env): CommittedBehavior {
  const tick = (draft: Draft): void => {
    const { cpu, memory, load, loopLagMs, residentBytes, heapBytes } = draft.record(() => ({ ...probe.sample() }));
    const at = isoTime(draft.at);
    const row = { at, cpu, memory, load, loop_lag_ms: loopLagMs, resident_bytes: residentBytes, heap_bytes: heapBytes };
    draft.emit("out", new RowBatch([row]));
    draft.advanceOutput(draft.at);
  };
  const next = (now: number): number => (Math.floor(now / everyMs) + 1) * everyMs;
  const stateless = { seal() {}, discard() {}, fold() {} };
  return { ...tickingBehavior({ next, tick }, env, stateless), close: () => probe.close() };
}
