/**
 * The server as a log sees it: whom to ask, whether it answers, and how often it is asked again when it does not. A client that
 * is told of another leader asks that one from then on, so such a call is only made once more.
 */
import { type Env, messageOf, sleep } from "@millrace/engine";
import { type Client, type ConnectionOptions, connect, isUnreachable, typeOf } from "./connection.ts";

/** Since when the server has not answered, and what was last heard. */
export interface Outage {
  readonly sinceMs: number;
  readonly reason: string;
}

export interface ServerOptions extends ConnectionOptions {
  readonly env: Env;
}

const PAUSE_MS = { first: 50, most: 2000 };
/** Elections end; a cluster whose nodes only point at each other does not. */
const LEADERS_MAX = 10;
const LEADER_PAUSE_MS = 20;

/** Of one call: how often it was made again, and until when it may be. */
export interface Tries {
  leaders: number;
  pauseMs: number;
  untilMs: number;
}

export class Server {
  readonly #options: ServerOptions;
  readonly #ending = new AbortController();
  #client: Client;
  #outage: Outage | undefined;
  /** How long a call is made again while nobody answers. */
  #patienceMs = 0;

  /** @throws ESDB-CONFIG */
  constructor(options: ServerOptions) {
    this.#options = options;
    this.#client = connect(options);
  }

  /** From now on calls are made again for so long. */
  patient(patienceMs: number): this {
    this.#patienceMs = patienceMs;
    return this;
  }

  get client(): Client {
    return this.#client;
  }

  get outage(): Outage | undefined {
    return this.#outage;
  }

  /** @throws what the client throws, once it has lasted as long as the log is patient */
  async call<T>(attempt: (client: Client) => Promise<T>): Promise<T> {
    const tries = this.begin();
    for (;;) {
      const client = this.#client;
      try {
        const answer = await attempt(client);
        this.answered();
        return answer;
      } catch (thrown) {
        if (!(await this.isWorthAnother(tries, thrown, client))) throw thrown;
      }
    }
  }

  begin(): Tries {
    const untilMs = this.#options.env.clock.monotonic() + this.#patienceMs;
    return { leaders: 0, pauseMs: PAUSE_MS.first, untilMs };
  }

  answered(): void {
    this.#outage = undefined;
  }

  /** Pauses first. False when the error is an answer, nobody has answered for too long, or the log ends. */
  async isWorthAnother(tries: Tries, thrown: unknown, client: Client): Promise<boolean> {
    this.lost(thrown, client);
    if (!isUnreachable(thrown)) return false;
    const isElsewhere = typeOf(thrown) === "not-leader" && tries.leaders++ < LEADERS_MAX;
    const pauseMs = isElsewhere ? LEADER_PAUSE_MS : tries.pauseMs;
    const { env } = this.#options;
    if (!isElsewhere && env.clock.monotonic() + pauseMs > tries.untilMs) return false;
    if (!isElsewhere) tries.pauseMs = Math.min(PAUSE_MS.most, pauseMs * 2);
    await sleep(env, pauseMs, this.#ending.signal).catch(() => undefined);
    return !this.#ending.signal.aborted;
  }

  /** Notes that a call got no answer. */
  lost(thrown: unknown, client: Client): void {
    if (!isUnreachable(thrown)) return;
    const sinceMs = this.#outage?.sinceMs ?? this.#options.env.clock.now();
    this.#outage = { sinceMs, reason: messageOf(thrown) };
    // It keeps the answer to its first question, also when that was that no node of the cluster could be found.
    if (typeOf(thrown) === "" && client === this.#client) this.#client = connect(this.#options);
  }

  /** No call is made again from now on. */
  end(): void {
    this.#ending.abort();
  }

  async dispose(): Promise<void> {
    this.end();
    await this.#client.dispose();
  }
}
