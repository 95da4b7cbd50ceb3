/** A draft that only notes what a behavior does with it. State events are copied, as a log copies them. */
import type { Batch, Draft, InputSlice, Json, LateEmit, LateMark, MessageFailure, StateEvent } from "@millrace/engine";
import { Positions, RowBatch, reportOf } from "@millrace/engine";

/** The outputs of a node that has made no step. */
export const FRESH = { watermark: Number.NEGATIVE_INFINITY, idle: false } as const;

export class RecordingDraft implements Draft {
  at = 1_000;
  readonly emitted = new Map<string, Json[]>();
  readonly events: StateEvent[] = [];
  readonly failures: MessageFailure[] = [];
  readonly drops: Record<string, number> = {};
  readonly recorded: Json[] = [];
  attempts: number | undefined;
  watermark: number | undefined;
  rests = false;
  /** Marks of what was emitted, by row of the port. */
  readonly late: LateEmit[] = [];
  /** What was recorded before: given back instead of obtaining it again. */
  readonly #replayed: readonly Json[] | undefined;

  constructor(replayed?: readonly Json[]) {
    this.#replayed = replayed;
  }

  get out(): readonly Json[] {
    return this.emitted.get("out") ?? [];
  }

  /** Index and code of each failure. */
  get rejected(): readonly string[] {
    return this.failures.map(({ index, error }) => `${index} ${reportOf(error).code}`);
  }

  emit(port: string, batch: Batch, late: readonly LateEmit[] = []): void {
    const before = this.emitted.get(port)?.length ?? 0;
    this.late.push(...late.map(({ index, watermark }) => ({ index: before + index, watermark })));
    this.emitted.set(port, [...(this.emitted.get(port) ?? []), ...batch.rows()]);
  }

  change(event: StateEvent): void {
    this.events.push(structuredClone(event));
  }

  reject(_: InputSlice, failures: readonly MessageFailure[], attempts?: number): void {
    this.failures.push(...failures);
    this.attempts = attempts;
  }

  advanceOutput(watermarkMs: number): void {
    this.watermark = watermarkMs;
  }

  restOutput(): void {
    this.rests = true;
  }

  drop(count: number, reason: string): void {
    this.drops[reason] = (this.drops[reason] ?? 0) + count;
  }

  record<T extends Json>(obtain: () => T): T {
    return this.#note(this.#replayed === undefined ? obtain() : this.#next<T>());
  }

  async recordAsync<T extends Json>(obtain: () => Promise<T>): Promise<T> {
    return this.#note(this.#replayed === undefined ? await obtain() : this.#next<T>());
  }

  #next<T extends Json>(): T {
    return this.#replayed?.[this.recorded.length] as T;
  }

  #note<T extends Json>(value: T): T {
    this.recorded.push(value);
    return structuredClone(value);
  }
}

/** Messages of one lane, positions from 0. */
export function sliceOf(batch: Batch | readonly Json[], late: readonly LateMark[] = []): InputSlice {
  const rows = "rows" in batch ? batch : new RowBatch(batch);
  return { lane: "lane", input: 0, batch: rows, positions: Positions.dense(0, rows.n), late };
}
