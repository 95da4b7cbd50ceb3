/**
 * The processes that connections to one address are made in. To start a JVM takes a second of a processor, and a broker that is away
 * is asked for again and again: the process of an attempt that failed as the broker was not there makes the next one.
 */
import { type Env, MillraceError } from "@millrace/engine";
import { BridgeLink, type BridgeLogin, type BridgeProgram, type JmsClient, withCode } from "./bridge-link.ts";

export interface BridgesOptions {
  readonly program: BridgeProgram;
  readonly clientAt: (endpoint: string) => JmsClient;
  readonly secrets: readonly string[];
  readonly login: BridgeLogin;
  readonly env: Env;
}

export class Bridges {
  readonly #options: BridgesOptions;
  /** By endpoint: a client may keep in its process what it was told of one. */
  readonly #waiting = new Map<string, BridgeLink>();

  constructor(options: BridgesOptions) {
    this.#options = options;
  }

  async connect(endpoint: string, signal: AbortSignal): Promise<BridgeLink> {
    const { clientAt, login } = this.#options;
    const link = await this.#taken(endpoint, signal);
    try {
      await link.open(clientAt(endpoint), login, signal);
    } catch (error) {
      // What has a code is cured by another class path or file, which only another process reads.
      if (error instanceof MillraceError || signal.aborted || link.hasEnded) await link.end();
      else this.#waiting.set(endpoint, link);
      throw withCode(error);
    }
    void this.end();
    return link;
  }

  /** Ends the processes that wait for another attempt. */
  async end(): Promise<void> {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    await Promise.all(waiting.map((link) => link.end()));
  }

  async #taken(endpoint: string, signal: AbortSignal): Promise<BridgeLink> {
    const waiting = this.#waiting.get(endpoint);
    this.#waiting.delete(endpoint);
    if (waiting !== undefined && !waiting.hasEnded) return waiting;
    return BridgeLink.launched(this.#options, signal).catch((error: unknown) => {
      throw withCode(error);
    });
  }
}
