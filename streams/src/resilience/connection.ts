/**
 * One connection to something that may fail, whatever it is: an ordered list of endpoints, each tried in turn from the first;
 * growing waits with jitter between rounds; a circuit that opens after too many failed rounds, so that a dead broker is left
 * alone; a probe that finds connections that look alive and are not. An endpoint that says how long it wants to be left alone is passed
 * over for so long, and the others are not kept waiting. Whoever uses it asks for the connection each time and says when it
 * misbehaves; connecting is done on demand and once for all who wait, and what is lost is made again on demand, too, unless whoever
 * uses it keeps it.
 *
 * The libraries that do this keep their own timers (cockatiel, opossum), so that none of it could be tested under injected
 * time; brokers' clients each do a part of it differently, and are told not to.
 */
import {
  backoffDelayMs,
  Circuit,
  type ConnectionState,
  type ConnectionStatus,
  type Env,
  MillraceError,
  messageOf,
  sleep,
  type Timer,
} from "@millrace/engine";
import { connectionError } from "./errors.ts";
import { DEFAULT_RESILIENCE, type ResiliencePolicy } from "./policy.ts";
import { within } from "./within.ts";

/** What a client library does for one endpoint. */
export interface ConnectionDriver<C> {
  /** Connects. `signal` aborts when nobody waits any more; what comes later is disconnected. */
  connect(endpoint: string, signal: AbortSignal): Promise<C>;
  /** Resolves when the other end answers. */
  probe(connection: C): Promise<void>;
  /**
   * Resolves, with the reason if there is one, when the connection has ended by itself. Never rejects. After a reason with
   * `retryAfterMs` the endpoint is not tried again before, and so after an error of {@link connect}.
   */
  ended(connection: C): Promise<unknown>;
  disconnect(connection: C): Promise<void>;
  /** Nobody wants a connection any more: ends what failed attempts have kept for the next one. Default: they keep nothing. */
  unwanted?(): Promise<void>;
}

export interface ConnectionOptions<C> {
  /** The address without credentials; for people. */
  readonly name: string;
  /** In order of preference. At least one. */
  readonly endpoints: readonly string[];
  readonly driver: ConnectionDriver<C>;
  readonly env: Env;
  readonly policy?: Partial<ResiliencePolicy>;
}

export class Connection<C> {
  readonly #options: ConnectionOptions<C>;
  readonly #policy: ResiliencePolicy;
  /** Aborted by {@link disconnect}, and then replaced. */
  #wanted: AbortController = new AbortController();
  #current: C | undefined;
  #round: Promise<C> | undefined;
  /** By {@link keep}. */
  #isKept = false;
  #probe: Timer | undefined;
  /** Who was asked last, and has not answered yet. */
  #asked: { readonly connection: C; readonly answered: Promise<void> } | undefined;
  #state: ConnectionState = "idle";
  #endpoint: string | null = null;
  #reason = "";
  #sinceMs: number;
  #connects = 0;
  readonly #circuit: Circuit;
  /** Monotonic ms before which no endpoint is tried: a back-off. */
  #notBeforeMs = 0;
  /** Monotonic ms before which an endpoint wants to be left alone. */
  readonly #leftAloneMs = new Map<string, number>();

  constructor(options: ConnectionOptions<C>) {
    this.#options = options;
    this.#policy = { ...DEFAULT_RESILIENCE, ...options.policy };
    const { suspendAfter: failuresMax, suspendMs: waitMs } = this.#policy;
    this.#circuit = new Circuit({ failuresMax, waitMs }, options.env.clock);
    this.#sinceMs = options.env.clock.now();
  }

  get status(): ConnectionStatus {
    return {
      name: this.#options.name,
      state: this.#state,
      endpoint: this.#endpoint,
      reason: this.#reason,
      sinceMs: this.#sinceMs,
      connects: this.#connects,
      failures: this.#circuit.failures,
    };
  }

  /** For how long nothing is attempted from now on, in whole ms: a back-off, an open circuit, or all endpoints want to be left alone. */
  get waitMs(): number {
    return this.#current === undefined ? this.#waitMsAt(this.#options.env.clock.monotonic()) : 0;
  }

  /**
   * The connection, made first if there is none. Waits out a back-off, but not an open circuit.
   *
   * @throws CONNECTION-FAILED this round through the endpoints failed, CONNECTION-SUSPENDED, CONNECTION-CLOSED
   */
  async acquire(): Promise<C> {
    if (this.#current !== undefined) return this.#current;
    this.#refuseWhileSuspended();
    return this.#made();
  }

  /**
   * As {@link acquire}. Until {@link disconnect} one that was made and is lost is made again, round after round, though nobody asks for it:
   * it is there when it is needed, and its state is that of the other end. For who may have no need of it for long.
   */
  keep(): Promise<C> {
    this.#isKept = true;
    return this.acquire();
  }

  /** `connection` did not do what it should: it is probed at once, and given up if it does not answer. */
  async suspect(connection: C): Promise<void> {
    if (connection !== this.#current) return;
    this.#probe?.cancel();
    if (this.#asked?.connection !== connection) {
      const answered = this.#ask(connection).finally(() => {
        if (this.#asked?.connection === connection) this.#asked = undefined;
      });
      this.#asked = { connection, answered };
    }
    await this.#asked.answered;
  }

  /** Over `connection` its endpoint said that it is of no use now; with `retryAfterMs`, for how long. The next one is made as after a break. */
  giveUp(connection: C, cause: unknown): void {
    this.#drop(connection, messageOf(cause), retryAfterOf(cause));
  }

  /**
   * Ends the connection, or the attempt to make one (CONNECTION-CLOSED), until it is asked for again. What failed before is
   * remembered: an open circuit stays open.
   */
  async disconnect(): Promise<void> {
    this.#isKept = false;
    this.#wanted.abort(this.#closedError());
    this.#wanted = new AbortController();
    this.#round = undefined;
    this.#probe?.cancel();
    const last = this.#current;
    this.#current = undefined;
    if (this.#state === "up" || this.#state === "connecting") this.#become("idle", "");
    if (last !== undefined) await this.#release(last);
    await this.#options.driver.unwanted?.();
  }

  /** What comes of the round that is under way, or of a new one. */
  #made(): Promise<C> {
    if (this.#round !== undefined) return this.#round;
    const round = this.#connect(this.#wanted.signal).finally(() => {
      if (this.#round === round) this.#round = undefined;
    });
    this.#round = round;
    return round;
  }

  /** One round after the other, each after its wait, until there is a connection or it is given up. */
  async #restore(wanted: AbortSignal): Promise<void> {
    while (this.#current === undefined && !wanted.aborted) await this.#made().catch(() => undefined);
  }

  async #connect(wanted: AbortSignal): Promise<C> {
    for (let waitMs = this.waitMs; waitMs > 0; waitMs = this.waitMs) await sleep(this.#options.env, waitMs, wanted);
    const refusals: Refusal[] = [];
    for (const endpoint of this.#options.endpoints) {
      const leftMs = this.#leftMsOf(endpoint, this.#options.env.clock.monotonic());
      if (leftMs > 0) {
        refusals.push({ endpoint, message: `wants to be left alone for ${leftMs} ms more` });
        continue;
      }
      this.#endpoint = endpoint;
      this.#become("connecting", this.#reason);
      try {
        return this.#take(await this.#attempt(endpoint, wanted), wanted);
      } catch (cause) {
        wanted.throwIfAborted();
        refusals.push({ endpoint, message: messageOf(cause), cause });
        this.#leaveAlone(endpoint, retryAfterOf(cause));
      }
    }
    throw this.#failedRound(refusals);
  }

  async #attempt(endpoint: string, wanted: AbortSignal): Promise<C> {
    const { env, driver } = this.#options;
    const { connectTimeoutMs } = this.#policy;
    const given = new AbortController();
    const stop = (): void => given.abort(wanted.reason);
    wanted.addEventListener("abort", stop, { once: true });
    const connecting = driver.connect(endpoint, given.signal);
    const unwanted = new Promise<never>((_, reject) => {
      given.signal.addEventListener("abort", () => reject(given.signal.reason as Error), { once: true });
    });
    try {
      const late = (): Error => new Error(`no answer in ${connectTimeoutMs} ms`);
      return await within(env, connectTimeoutMs, Promise.race([connecting, unwanted]), late);
    } catch (cause) {
      given.abort(cause);
      // What comes after its time is of no use to anybody.
      connecting.then((late) => this.#release(late)).catch(() => undefined);
      throw cause;
    } finally {
      wanted.removeEventListener("abort", stop);
    }
  }

  #take(connection: C, wanted: AbortSignal): C {
    if (wanted.aborted) {
      void this.#release(connection);
      throw wanted.reason;
    }
    this.#current = connection;
    this.#connects++;
    this.#circuit.succeeded();
    this.#notBeforeMs = 0;
    this.#become("up", "");
    void this.#options.driver.ended(connection).then((reason) => {
      const why = reason === undefined ? "the connection was closed by the other end" : messageOf(reason);
      this.#drop(connection, why, retryAfterOf(reason));
    });
    this.#armProbe(connection);
    return connection;
  }

  #failedRound(refusals: readonly Refusal[]): MillraceError {
    const reasons = refusals.map(({ endpoint, message }) => `${endpoint}: ${message}`).join("; ");
    const { env, name } = this.#options;
    const now = env.clock.monotonic();
    this.#circuit.failed(this.#firstLeftMsAt(now));
    const { failures } = this.#circuit;
    const suspended = this.#circuit.state === "open";
    if (!suspended) this.#notBeforeMs = now + backoffDelayMs(this.#policy, failures, env);
    this.#become(suspended ? "suspended" : "backing-off", reasons);
    return connectionError("CONNECTION-FAILED", `cannot connect to ${name}: ${reasons}`, {
      cause: refusals.find(({ cause }) => cause !== undefined)?.cause,
      retryAfterMs: this.#waitMsAt(now),
      details: { failures, endpoints: refusals.map(reportOfRefusal) },
    });
  }

  #refuseWhileSuspended(): void {
    const { leftMs, failures } = this.#circuit;
    if (leftMs === 0) return;
    const message = `${this.#options.name} is left alone for ${leftMs} ms more after ${failures} failed rounds: ${this.#reason}`;
    throw connectionError("CONNECTION-SUSPENDED", message, { retryAfterMs: leftMs });
  }

  /** A connection that broke was up, so the first attempt to replace it follows after the shortest wait. */
  #drop(connection: C, reason: string, leastMs = 0): void {
    if (connection !== this.#current) return;
    this.#current = undefined;
    this.#probe?.cancel();
    // The endpoint is that of the connection until another attempt is made.
    if (this.#endpoint !== null) this.#leaveAlone(this.#endpoint, leastMs);
    const { env } = this.#options;
    this.#notBeforeMs = env.clock.monotonic() + backoffDelayMs(this.#policy, 1, env);
    this.#become("backing-off", reason);
    void this.#release(connection);
    if (this.#isKept) void this.#restore(this.#wanted.signal);
  }

  #leaveAlone(endpoint: string, forMs: number): void {
    if (forMs > 0) this.#leftAloneMs.set(endpoint, this.#options.env.clock.monotonic() + forMs);
  }

  #leftMsOf(endpoint: string, now: number): number {
    return Math.max(0, Math.ceil((this.#leftAloneMs.get(endpoint) ?? 0) - now));
  }

  /** Until the first endpoint may be tried that wants to be left alone; 0 if another may. */
  #firstLeftMsAt(now: number): number {
    return Math.min(...this.#options.endpoints.map((endpoint) => this.#leftMsOf(endpoint, now)));
  }

  #waitMsAt(now: number): number {
    return Math.max(this.#circuit.leftMs, Math.ceil(this.#notBeforeMs - now), this.#firstLeftMsAt(now), 0);
  }

  #armProbe(connection: C): void {
    this.#probe = this.#options.env.timers.after(this.#policy.probeEveryMs, () => void this.suspect(connection));
  }

  async #ask(connection: C): Promise<void> {
    const { env, driver } = this.#options;
    const { probeTimeoutMs } = this.#policy;
    try {
      const late = (): Error => new Error(`no answer to a probe in ${probeTimeoutMs} ms`);
      await within(env, probeTimeoutMs, driver.probe(connection), late);
      if (connection === this.#current) this.#armProbe(connection);
    } catch (cause) {
      this.#drop(connection, messageOf(cause));
    }
  }

  async #release(connection: C): Promise<void> {
    // It is of no use any more; that it cannot even be ended properly changes nothing.
    await this.#options.driver.disconnect(connection).catch(() => undefined);
  }

  #become(state: ConnectionState, reason: string): void {
    if (state !== this.#state) this.#sinceMs = this.#options.env.clock.now();
    this.#state = state;
    this.#reason = reason;
  }

  #closedError(): MillraceError {
    return connectionError("CONNECTION-CLOSED", `the connection to ${this.#options.name} was closed`);
  }
}

/** Why an endpoint could not be connected in a round; without a cause it was not tried. */
interface Refusal {
  readonly endpoint: string;
  readonly message: string;
  readonly cause?: unknown;
}

/** With the code that the endpoint, the operating system or Millrace has for it, where there is one. */
function reportOfRefusal({ endpoint, cause }: Refusal): Readonly<Record<string, string | number>> {
  const { code } = Object(cause) as { readonly code?: unknown };
  return { endpoint, ...(typeof code === "string" || typeof code === "number" ? { code } : {}) };
}

function retryAfterOf(cause: unknown): number {
  return cause instanceof MillraceError ? (cause.retryAfterMs ?? 0) : 0;
}
