/**
 * Leaves alone what fails again and again, so that it can come back and nobody waits for it in vain: the circuit breaker of
 * M. Nygard's "Release It!". Whoever makes attempts says how each ended; the one after the wait decides alone.
 */
import type { Clock } from "../time/clock.ts";

export interface CircuitOptions {
  /** Failures in a row that open it. */
  readonly failuresMax: number;
  /** How long it stays open. */
  readonly waitMs: number;
}

/** `half-open`: the wait is over, and nobody has tried yet. */
export type CircuitState = "closed" | "open" | "half-open";

export class Circuit {
  readonly #options: CircuitOptions;
  readonly #clock: Clock;
  #failures = 0;
  /** Monotonic ms; `undefined` while it is closed. */
  #openUntilMs: number | undefined;

  constructor(options: CircuitOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get state(): CircuitState {
    if (this.#openUntilMs === undefined) return "closed";
    return this.leftMs > 0 ? "open" : "half-open";
  }

  /** In a row, until now. */
  get failures(): number {
    return this.#failures;
  }

  /** How long nothing should be attempted; 0 unless it is open. */
  get leftMs(): number {
    return this.#openUntilMs === undefined ? 0 : Math.max(0, Math.ceil(this.#openUntilMs - this.#clock.monotonic()));
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openUntilMs = undefined;
  }

  /** An attempt failed. `leastMs`: how long the other end wants to be left alone. */
  failed(leastMs = 0): void {
    this.#failures++;
    if (this.#failures >= this.#options.failuresMax) this.open(leastMs);
  }

  /** Opens it whatever was counted; the failure of the next attempt opens it again. */
  open(leastMs = 0): void {
    this.#failures = Math.max(this.#failures, this.#options.failuresMax);
    this.#openUntilMs = this.#clock.monotonic() + Math.max(this.#options.waitMs, leastMs);
  }
}
