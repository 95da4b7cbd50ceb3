/**
 * What a transport over a broker keeps for each subject: the sending end, the newest receiving end, and what this process remembers of
 * the subject from one receiving end to the next.
 */
import { type MillraceError, type TransportMessage, transportError } from "@millrace/engine";
import type { Connection } from "./connection.ts";

export interface EdgeEndsOptions<P, M> {
  /** Ended with the ends. */
  readonly connection: Connection<unknown>;
  readonly bodyBytesMax: number;
  /** Makes a sending end; `closed` aborts when the transport is closed. */
  publisher(subject: string, closed: AbortSignal): P;
  /** What is remembered of a subject at first. */
  memory(): M;
}

interface Receiving {
  /** Tells the broker, while there is a connection, what it was not told yet. Waits for it only so long. */
  settle?(): Promise<void>;
  close(): Promise<void>;
}

export class EdgeEnds<P, S extends Receiving, M> {
  readonly #options: EdgeEndsOptions<P, M>;
  readonly #closed = new AbortController();
  readonly #publishers = new Map<string, P>();
  readonly #subscriptions = new Map<string, S>();
  readonly #memories = new Map<string, M>();

  constructor(options: EdgeEndsOptions<P, M>) {
    this.#options = options;
  }

  /** All sending ends there are. */
  get publishers(): readonly P[] {
    return [...this.#publishers.values()];
  }

  /** The sending end of a message. @throws TRANSPORT-CLOSED, TRANSPORT-TOO-LARGE */
  publisher(subject: string, { body }: TransportMessage): P {
    const { bodyBytesMax } = this.#options;
    this.#mustBeOpen();
    if (body.length > bodyBytesMax)
      throw transportError("TRANSPORT-TOO-LARGE", `a body of ${body.length} bytes exceeds ${bodyBytesMax}`);
    const known = this.#publishers.get(subject);
    if (known !== undefined) return known;
    const made = this.#options.publisher(subject, this.#closed.signal);
    this.#publishers.set(subject, made);
    return made;
  }

  /** A new receiving end, which replaces the one before. @throws TRANSPORT-CLOSED */
  async subscription(subject: string, make: (memory: M) => S): Promise<S> {
    this.#mustBeOpen();
    await this.#subscriptions.get(subject)?.close();
    const memory = this.#memories.get(subject) ?? this.#options.memory();
    this.#memories.set(subject, memory);
    const made = make(memory);
    this.#subscriptions.set(subject, made);
    return made;
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(transportClosed());
    const subscriptions = [...this.#subscriptions.values()];
    await Promise.all(subscriptions.map((subscription) => subscription.settle?.()));
    const ending = subscriptions.map((subscription) => subscription.close());
    await this.#options.connection.disconnect();
    await Promise.all(ending);
  }

  #mustBeOpen(): void {
    if (this.#closed.signal.aborted) throw transportClosed();
  }
}

export function transportClosed(): MillraceError {
  return transportError("TRANSPORT-CLOSED", "the transport was closed");
}
