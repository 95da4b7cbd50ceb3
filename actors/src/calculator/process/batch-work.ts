/**
 * The rows of one run on their way to outcomes: which go next, and which is to blame. Nobody knows at which row of a batch a
 * process ended, so the rows of that batch go one at a time afterwards; a row that ends its process alone does it again
 * before it is given up.
 */
import { engineError, invariant, type Json, type MillraceError } from "@millrace/engine";
import type { Outcome } from "../calculator-host.ts";
import { packedBytes } from "./frame.ts";

export class BatchWork {
  readonly outcomes: Outcome[] = [];
  readonly #rows: readonly Json[];
  readonly #attemptsMax: number;
  /** Rows below this one go one at a time. */
  #careful = 0;
  /** A row that failed beside others; those before it go without it. */
  #suspect = -1;
  /** How often the row in turn failed alone. */
  #attempts = 0;
  /** Rows in the batch that is under way. */
  #size = 0;
  #sizeMax: number;

  constructor(rows: readonly Json[], attemptsMax: number) {
    this.#rows = rows;
    this.#sizeMax = rows.length;
    this.#attemptsMax = attemptsMax;
  }

  get isDone(): boolean {
    return this.outcomes.length === this.#rows.length;
  }

  /** The rows to calculate now, at most `credit` of them. */
  next(credit: number): readonly Json[] {
    const from = this.outcomes.length;
    const isAlone = from < this.#careful || from === this.#suspect;
    const bound = from < this.#suspect ? this.#suspect - from : this.#sizeMax;
    this.#size = isAlone ? 1 : Math.min(bound, this.#sizeMax, credit, this.#rows.length - from);
    return this.#rows.slice(from, from + this.#size);
  }

  /** The batch does not fit into a frame: half of it, or the row that does not fit by itself. */
  tooLarge(): void {
    if (this.#size > 1) {
      this.#sizeMax = this.#size >>> 1;
      return;
    }
    const bytes = packedBytes(this.#rows[this.outcomes.length] as Json);
    this.#settle(
      engineError("MSG-SIZE", `a message of ${bytes} bytes is more than a calculator's process takes at once`),
    );
  }

  /** `outcomes` of the first rows of the batch count; `failure`: the process was lost at one of the others. */
  passed(outcomes: readonly Outcome[], failure: MillraceError | undefined): void {
    if (outcomes.length > 0) {
      this.outcomes.push(...outcomes);
      this.#attempts = 0;
    }
    if (failure === undefined) return;
    if (this.#size === 1 && outcomes.length === 0) {
      this.#attempts++;
      if (this.#attempts >= this.#attemptsMax) this.#settle(failure);
      return;
    }
    this.#careful = this.outcomes.length - outcomes.length + this.#size;
  }

  /** The last outcome is a failure, and the others do not count: they must be calculated again without that row. */
  failedAt(outcomes: readonly Outcome[]): void {
    const last = outcomes.findIndex((outcome) => "error" in outcome);
    const failed = outcomes[last];
    invariant(failed !== undefined && "error" in failed, "a batch that failed at a row has its failure");
    if (this.#size === 1) this.#settle(failed.error);
    else this.#suspect = this.outcomes.length + last;
  }

  #settle(error: MillraceError): void {
    const index = this.outcomes.length;
    const amongOthers = index < this.#careful || index === this.#suspect ? 1 : 0;
    this.outcomes.push({ error, attempts: Math.max(1, this.#attempts) + amongOthers });
    this.#attempts = 0;
  }
}
