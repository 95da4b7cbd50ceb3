/** Ranges consumed without effect: they ride in the next step, or are committed after a while so that origins can prune (R18). */
import type { Timer, Timers } from "../time/clock.ts";
import type { StepWork } from "./step-work.ts";

export class LazyProgress {
  readonly #timers: Timers;
  readonly #afterMs: number;
  readonly #due: () => void;
  #work: StepWork[] = [];
  #timer: Timer | undefined;

  /** @param due no step has taken the progress with it for `afterMs` */
  constructor(timers: Timers, afterMs: number, due: () => void) {
    this.#timers = timers;
    this.#afterMs = afterMs;
    this.#due = due;
  }

  get work(): readonly StepWork[] {
    return this.#work;
  }

  add(work: readonly StepWork[]): void {
    this.#work.push(...work);
    this.#arm();
  }

  /** A step has taken the progress with it. */
  clear(): void {
    this.#work = [];
    this.stop();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer ??= this.#timers.after(this.#afterMs, () => {
      this.#timer = undefined;
      if (this.#work.length === 0) return;
      this.#due();
      // Whoever could not commit it now is told again.
      if (this.#work.length > 0) this.#arm();
    });
  }
}
