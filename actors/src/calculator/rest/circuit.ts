/**
 * Leaves a service alone that fails again and again, so that it can come back and nobody waits for it in vain (the circuit
 * breaker of M. Nygard's "Release It!"). Two things open it: attempts in a row that did not reach a service able to answer, and
 * messages in a row that were given up, because then the service is to blame and not five messages at once.
 */
import type { Env, MillraceError } from "@millrace/engine";
import { actorError } from "../../errors.ts";

export interface CircuitOptions {
  /** Failures in a row that open it. Default 5. */
  readonly failures?: number;
  /** How long it stays open, in ms. Default 10 000. */
  readonly waitMs?: number;
}

export class Circuit {
  readonly #failuresMax: number;
  readonly #waitMs: number;
  readonly #env: Env;
  #unreached = 0;
  #givenUp = 0;
  /** Monotonic ms; `undefined` while it is closed. */
  #openUntil: number | undefined;
  #reason = "";

  constructor({ failures = 5, waitMs = 10_000 }: CircuitOptions, env: Env) {
    this.#failuresMax = failures;
    this.#waitMs = waitMs;
    this.#env = env;
  }

  get state(): "closed" | "open" | "half-open" {
    if (this.#openUntil === undefined) return "closed";
    return this.#env.clock.monotonic() < this.#openUntil ? "open" : "half-open";
  }

  /** @throws CALC-UNAVAILABLE while it is open */
  check(): void {
    if (this.#openUntil === undefined) return;
    const leftMs = Math.ceil(this.#openUntil - this.#env.clock.monotonic());
    if (leftMs <= 0) return;
    const message = `the service is left alone for ${leftMs} ms more: ${this.#reason}`;
    throw actorError("CALC-UNAVAILABLE", message, { retryAfterMs: leftMs });
  }

  /** The service answered a message. */
  answered(): void {
    this.#unreached = 0;
    this.#givenUp = 0;
    this.#openUntil = undefined;
  }

  /** An attempt did not reach a service that can answer. */
  unreached(error: MillraceError): void {
    if (++this.#unreached >= this.#failuresMax) this.#open(error);
  }

  /** A message was given up. @throws CALC-UNAVAILABLE it is one too many */
  givenUp(error: MillraceError): void {
    if (++this.#givenUp < this.#failuresMax) return;
    this.#open(error);
    this.check();
  }

  #open(error: MillraceError): void {
    this.#reason = `${error.code}: ${error.message}`;
    this.#openUntil = this.#env.clock.monotonic() + this.#waitMs;
    // The next attempt decides alone; messages that are given up are counted afresh, or one of them would keep it open for ever.
    this.#unreached = this.#failuresMax - 1;
    this.#givenUp = 0;
  }
}
