/** A small committed behavior for tests: adds numbers up, emits each total, and fails on request. */
import type { CommittedBehavior, Draft, InputSlice, StateEvent } from "../behavior/committed-behavior.ts";
import { engineError } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";

export const POISON = "poison";
export const FLAKY = "flaky";
export const BUG = "bug";

export class Tally implements CommittedBehavior {
  readonly kind = "committed";
  readonly ports = ["out"];
  readonly stateVersion = 1;
  stepMessagesMax = 4096;
  total = 0;
  /** While true, {@link FLAKY} messages meet a target that is not there. */
  isDown = false;
  /** When that target says that it may be tried again. */
  retryAfterMs = 100;
  readonly advances: number[] = [];
  readonly takes: Json[][] = [];
  #sealed = 0;

  take(draft: Draft, slice: InputSlice): void {
    this.takes.push([...slice.batch.rows()]);
    const totals: number[] = [];
    for (const row of slice.batch.rows()) {
      if (row === POISON) throw new Error("cannot add poison");
      if (row === BUG) throw engineError("CREDIT-OVERRUN", "a bug");
      if (row === FLAKY && this.isDown)
        throw engineError("SINK-FAILED", "not now", { retryAfterMs: this.retryAfterMs });
      this.total += typeof row === "number" ? row : 0;
      totals.push(this.total);
    }
    draft.change({ total: this.total });
    draft.emit("out", new RowBatch(totals));
  }

  advance(_draft: Draft, watermark: number): void {
    this.advances.push(watermark);
  }

  seal(): void {
    this.#sealed = this.total;
  }

  discard(): void {
    this.total = this.#sealed;
  }

  fold(event: StateEvent): void {
    this.total = (event as { readonly total: number }).total;
  }

  snapshot(): StateEvent {
    return { total: this.total };
  }

  restore(snapshot: StateEvent): void {
    this.fold(snapshot);
  }
}
