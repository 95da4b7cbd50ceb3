/**
 * The circuit of a service that is asked for results. Two things open it: attempts in a row that did not reach a service able to
 * answer, and messages in a row that were given up, because then the service is to blame and not five messages at once.
 */
import { Circuit, type CircuitState, type Env, type MillraceError } from "@millrace/engine";
import { actorError } from "../../errors.ts";

export interface CallCircuitOptions {
  /** Failures in a row that open it. Default 5. */
  readonly failures?: number;
  /** How long it stays open, in ms. Default 10 000. */
  readonly waitMs?: number;
}

export class CallCircuit {
  readonly #failuresMax: number;
  readonly #circuit: Circuit;
  #givenUp = 0;
  #reason = "";

  constructor({ failures = 5, waitMs = 10_000 }: CallCircuitOptions, env: Env) {
    this.#failuresMax = failures;
    this.#circuit = new Circuit({ failuresMax: failures, waitMs }, env.clock);
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  /** @throws CALC-UNAVAILABLE while it is open */
  check(): void {
    const { leftMs } = this.#circuit;
    if (leftMs === 0) return;
    const message = `the service is left alone for ${leftMs} ms more: ${this.#reason}`;
    throw actorError("CALC-UNAVAILABLE", message, { retryAfterMs: leftMs });
  }

  /** The service answered a message. */
  answered(): void {
    this.#givenUp = 0;
    this.#circuit.succeeded();
  }

  /** An attempt did not reach a service that can answer. */
  unreached(error: MillraceError): void {
    this.#failed(error, () => this.#circuit.failed());
  }

  /** A message was given up. @throws CALC-UNAVAILABLE it is one too many */
  givenUp(error: MillraceError): void {
    if (++this.#givenUp < this.#failuresMax) return;
    this.#failed(error, () => this.#circuit.open());
    this.check();
  }

  /** Messages that are given up are counted afresh once it is open, or one of them would keep it open for ever. */
  #failed({ code, message }: MillraceError, count: () => void): void {
    count();
    if (this.#circuit.leftMs === 0) return;
    this.#reason = `${code}: ${message}`;
    this.#givenUp = 0;
  }
}
