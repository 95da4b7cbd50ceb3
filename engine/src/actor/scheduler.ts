/**
 * Runs ready actors one turn at a time. A turn is short; what is left goes to the back of the queue, so that no actor starves
 * another. Bursts run as microtasks and make way for I/O when their time budget is spent: a microtask-only loop would delay
 * the very disk completions that it waits for (performance.md §8).
 */
import type { Env } from "../time/clock.ts";

/** Something that can be given a turn. Holds its own place in the queue, so that being ready costs no allocation. */
export abstract class Turnable {
  /** Owned by the scheduler. */
  queuedForTurn = false;
  /** Owned by the scheduler. */
  nextForTurn: Turnable | null = null;

  /** Does a bounded amount of work, starting at monotonic time `nowMs`; returns the time at which it ended. Must not throw. */
  abstract turn(nowMs: number): number;
}

export interface SchedulerOptions {
  /** Longest burst before I/O gets its chance, in ms. Default 1. */
  readonly budgetMs?: number;
  /** Bursts that may follow each other as microtasks before one waits for I/O. Default 64. */
  readonly burstsMax?: number;
}

export class Scheduler {
  readonly env: Env;
  readonly #budgetMs: number;
  readonly #burstsMax: number;
  #head: Turnable | null = null;
  #tail: Turnable | null = null;
  #armed = false;
  #bursts = 0;

  constructor(env: Env, options: SchedulerOptions = {}) {
    this.env = env;
    this.#budgetMs = options.budgetMs ?? 1;
    this.#burstsMax = options.burstsMax ?? 64;
  }

  /** Gives `actor` a turn soon; once, however often it is asked before that. */
  ready(actor: Turnable): void {
    if (actor.queuedForTurn) return;
    actor.queuedForTurn = true;
    actor.nextForTurn = null;
    if (this.#tail === null) this.#head = actor;
    else this.#tail.nextForTurn = actor;
    this.#tail = actor;
    if (!this.#armed) this.#arm();
  }

  #arm(): void {
    this.#armed = true;
    if (++this.#bursts < this.#burstsMax) this.env.turns.soon(this.#burst);
    else this.env.turns.yieldToIo(this.#fresh);
  }

  readonly #fresh = (): void => {
    this.#bursts = 0;
    this.#burst();
  };

  readonly #burst = (): void => {
    let now = this.env.clock.monotonic();
    const end = now + this.#budgetMs;
    for (let actor = this.#head; actor !== null; actor = this.#head) {
      this.#head = actor.nextForTurn;
      if (this.#head === null) this.#tail = null;
      actor.nextForTurn = null;
      actor.queuedForTurn = false;
      now = actor.turn(now);
      if (now > end && this.#head !== null) {
        this.env.turns.yieldToIo(this.#fresh);
        return;
      }
    }
    this.#armed = false;
  };
}
