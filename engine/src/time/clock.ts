/**
 * Time, timers, randomness and scheduling as ports (DESIGN §6): production runs on the machine's, `simulate` on virtual ones.
 * Nothing else in the engine may ask the machine for any of them; `tidy` and a lint hold that.
 */

export interface Clock {
  /** Milliseconds since 1970 UTC. May jump; never used to order events. */
  now(): number;
  /** Milliseconds from an arbitrary start, never falling. For durations and time-outs. */
  monotonic(): number;
}

/** A timer that can be cancelled once or many times, before or after it fired. */
export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Calls `fire` once, `delayMs` ≥ 0 from now by the monotonic clock, never before the current turn ends. */
  after(delayMs: number, fire: () => void): Timer;
}

/** When ready work runs. Both keep the order of their own calls. */
export interface Turns {
  /** As soon as the current call stack ends, before I/O. */
  soon(run: () => void): void;
  /** After pending I/O had its chance. */
  yieldToIo(run: () => void): void;
}

export interface Random {
  /** Uniform in `[0, 2^32)`. */
  u32(): number;
  /** `length` random bytes in a fresh array. */
  bytes(length: number): Uint8Array;
}

/** Everything a component needs to know of the machine it runs on. */
export interface Env {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly turns: Turns;
  readonly random: Random;
}

/** Resolves `delayMs` from now; rejects with the signal's reason when it aborts first. */
export function sleep(env: Env, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      timer.cancel();
      reject(signal?.reason as Error);
    };
    const timer = env.timers.after(delayMs, () => {
      signal?.removeEventListener("abort", stop);
      resolve();
    });
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
