/**
 * Steps on their way to the disk, in order. Several may be in flight; whatever happens, they become durable in order or the
 * incarnation ends. A refusal without effect (disk full) or an unknown outcome is answered by the same steps with the same
 * ids and revisions, never by new ones (R17).
 */
import { MillraceError } from "../errors.ts";
import type { EventInput, EventLog, ExpectedRevision } from "../log/event-log.ts";
import type { Env } from "../time/clock.ts";
import type { ProtocolRules } from "./protocol-rules.ts";

export interface Flight {
  readonly event: EventInput;
  /** Revision of the stream before this step. */
  readonly expected: number;
  /** Called once the step is durable, in order. */
  readonly landed: (position: number) => void;
}

export interface FlightsOptions {
  readonly log: EventLog;
  readonly stream: string;
  readonly env: Env;
  readonly rules: ProtocolRules;
  /** The stream has another writer, or the log is gone: this incarnation must publish nothing more. */
  readonly lost: (error: unknown) => void;
  /** The log accepts nothing now (`error`), or again (`undefined`). */
  readonly waiting: (error: unknown) => void;
}

const RETRY_MS = 1000;

export class StepFlights {
  readonly #options: FlightsOptions;
  #flights: Flight[] = [];
  /** Log positions of flights that are durable, but behind one that is not known to be. */
  #settled = new Map<Flight, number>();
  #outstanding = 0;
  #failure: unknown;
  /** The first step that was refused for its revision. */
  #refusal: unknown;
  /** `waiting` was told of a failure and not yet of its end. */
  #isWaiting = false;
  #stopped = false;

  constructor(options: FlightsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#flights.length;
  }

  /** True while a failed append is being repeated: no new step may be started. */
  get isStalled(): boolean {
    return this.#failure !== undefined || this.#refusal !== undefined;
  }

  launch(flight: Flight): void {
    this.#flights.push(flight);
    if (!this.isStalled) this.#append(flight);
  }

  stop(): void {
    this.#stopped = true;
    this.#flights = [];
  }

  #append(flight: Flight, expected: ExpectedRevision = flight.expected, id = flight.event.id): void {
    this.#outstanding++;
    this.#options.log.append([{ stream: this.#options.stream, expected, events: [{ ...flight.event, id }] }]).then(
      (result) => this.#succeeded(flight, result.position),
      (error: unknown) => this.#failed(error),
    );
  }

  #repeat(flight: Flight): void {
    if (this.#options.rules.R17) this.#append(flight);
    else this.#append(flight, "any", this.#options.env.random.bytes(16));
  }

  #succeeded(flight: Flight, position: number): void {
    this.#outstanding--;
    if (this.#stopped) return;
    this.#settled.set(flight, position);
    this.#land();
    if (!this.isStalled) this.#accepted();
    this.#retryIfQuiet();
  }

  /** Only what comes directly after the last durable step may land. */
  #land(): void {
    for (let first = this.#flights[0]; first !== undefined; first = this.#flights[0]) {
      const position = this.#settled.get(first);
      if (position === undefined) return;
      this.#settled.delete(first);
      this.#flights.shift();
      first.landed(position);
      if (this.#stopped) return;
    }
  }

  #failed(error: unknown): void {
    this.#outstanding--;
    if (this.#stopped) return;
    const refused = codeOf(error) === "LOG-WRONG-REVISION";
    if (!refused && !(error instanceof MillraceError && error.kind === "transient")) {
      this.#lose(error);
      return;
    }
    if (!refused && this.#failure === undefined) {
      this.#failure = error;
      this.#isWaiting = true;
      this.#options.waiting(error);
    }
    if (refused) this.#refusal ??= error;
    this.#retryIfQuiet();
  }

  #accepted(): void {
    if (!this.#isWaiting || this.#stopped) return;
    this.#isWaiting = false;
    this.#options.waiting(undefined);
  }

  #lose(error: unknown): void {
    this.stop();
    this.#options.lost(error);
  }

  /**
   * Steps behind one that failed are refused for their revision, and may hear so earlier than it does. A refusal means another
   * writer only if, all answers known, nothing before it failed.
   */
  #retryIfQuiet(): void {
    if (this.#outstanding > 0) return;
    if (this.#failure === undefined) {
      if (this.#refusal !== undefined) this.#lose(this.#refusal);
      return;
    }
    this.#refusal = undefined;
    const { retryAfterMs } = this.#failure as MillraceError;
    this.#options.env.timers.after(retryAfterMs ?? RETRY_MS, () => {
      if (this.#stopped) return;
      this.#failure = undefined;
      for (const flight of this.#flights) if (!this.#settled.has(flight)) this.#repeat(flight);
      if (this.#flights.length === 0) this.#accepted();
    });
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof MillraceError ? error.code : undefined;
}
