import type { MillraceError, StateEvent } from "@millrace/engine";
import { FrameError, type WireOutcome, type WorkerFrame } from "./frame.ts";
import { reportedError } from "./worker-report.ts";

/** What is heard of one batch: outcomes in order, the end, and of a stateful calculator its state. */
export class BatchAnswer {
  readonly outcomes: WireOutcome[] = [];
  state: StateEvent = null;
  opens = 0;
  copies = 0;
  hasDrafts = false;
  isCancelled = false;
  /** A row found no memory. What took it may still be there, so nothing behind that row counts. */
  exhausted: MillraceError | undefined;
  readonly #id: number;
  readonly #n: number;
  readonly #stateful: boolean;
  #hasEnded = false;

  constructor(id: number, n: number, stateful: boolean) {
    this.#id = id;
    this.#n = n;
    this.#stateful = stateful;
  }

  hear(frame: WorkerFrame): boolean {
    if (frame.is === "result" && !this.#hasEnded) return this.#result(frame);
    if (frame.is !== "state" || !this.#hasEnded) throw new FrameError(`${frame.is} in the middle of a batch`);
    if (frame.id !== this.#id) throw new FrameError(`a state of ${String(frame.id)} instead of ${this.#id}`);
    this.state = frame.state ?? null;
    return true;
  }

  #result({ id, from, out, end, opens, copies, drafts }: Extract<WorkerFrame, { is: "result" }>): boolean {
    if (id !== this.#id) throw new FrameError(`a result of batch ${String(id)} instead of ${this.#id}`);
    if (from !== this.outcomes.length || !Array.isArray(out))
      throw new FrameError(`results from row ${String(from)} instead of ${this.outcomes.length}`);
    // It would pass for progress without an end.
    if (out.length === 0 && end !== true) throw new FrameError("a result of no row");
    if (from + out.length > this.#n) throw new FrameError(`${from + out.length} results for ${this.#n} rows`);
    for (const outcome of out as readonly WireOutcome[]) {
      if (isOutOfMemory(outcome)) {
        this.exhausted = reportedError(outcome);
        return false;
      }
      this.outcomes.push(outcome);
    }
    this.opens += countOf(opens);
    this.copies += countOf(copies);
    this.hasDrafts ||= drafts === true;
    if (end !== true) return false;
    this.#hasEnded = true;
    if (this.outcomes.length < this.#n && !this.#mayEndEarly())
      throw new FrameError(`${this.outcomes.length} results for ${this.#n} rows`);
    return !this.#stateful;
  }

  /** When it was asked to, or at the row that a stateful calculator failed at. */
  #mayEndEarly(): boolean {
    const last = this.outcomes.at(-1);
    return this.isCancelled || (this.#stateful && last !== undefined && last !== null && !Array.isArray(last));
  }
}

const isOutOfMemory = (outcome: WireOutcome): boolean =>
  outcome !== null && !Array.isArray(outcome) && (outcome as { readonly code?: unknown }).code === "CALC-OOM";

/** What a worker counts is for people: nonsense counts for nothing. */
function countOf(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0;
}
