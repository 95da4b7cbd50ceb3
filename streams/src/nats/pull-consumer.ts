/**
 * The pull side of a JetStream consumer: one inbox for all requests, so that messages keep their order; credit is what was
 * asked for and has not come. A request that expires is made again for what is left of it. The client library's own
 * consumers wait until a request is full or its time is over, which a source that must hand on at once cannot.
 *
 * Protocol: docs.nats.io, "JetStream wire API"; ack subjects as in ADR-15.
 */
import type { Env, Timer } from "@millrace/engine";
import { createInbox, type Msg, type MsgHdrs, type NatsConnection, nanos, type Subscription } from "nats";

export interface PulledMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** Sequence in the stream. */
  readonly sequence: number;
  /** Sequence of this consumer's deliveries; dense. */
  readonly delivery: number;
  /** How often the server delivered it, this time included. */
  readonly attempt: number;
  /** When the server stored it, ms since 1970. */
  readonly timeMs: number;
  /** Where answers go. */
  readonly reply: string;
}

export interface PullEvents {
  receive(message: PulledMessage): void;
  /** Nothing more will come of what was asked for. */
  failed(error: Error): void;
}

const EXPIRES_MS = 2000;
/** A request says at least that it expired; without a word the server has forgotten the consumer. */
const SILENCE_MS = EXPIRES_MS + 2000;

export class PullConsumer {
  readonly #nc: NatsConnection;
  readonly #subject: string;
  readonly #inbox: string = createInbox();
  readonly #events: PullEvents;
  readonly #subscription: Subscription;
  readonly #env: Env;
  #silence: Timer | undefined;
  #heardMs = 0;
  #isClosed = false;
  /** Asked for, and not come. */
  outstanding = 0;

  constructor(nc: NatsConnection, env: Env, stream: string, consumer: string, events: PullEvents) {
    this.#nc = nc;
    this.#env = env;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#events = events;
    this.#subscription = nc.subscribe(this.#inbox, {
      callback: (error, message) => (error === null ? this.#take(message) : events.failed(error)),
    });
  }

  /** Allows `batch` more messages. */
  pull(batch: number): void {
    this.outstanding += batch;
    this.#request(batch);
  }

  close(): void {
    this.#isClosed = true;
    this.#silence?.cancel();
    if (!this.#nc.isClosed()) this.#subscription.unsubscribe();
  }

  #request(batch: number): void {
    this.#heardMs = this.#env.clock.monotonic();
    this.#listen();
    const body = JSON.stringify({ batch, expires: nanos(EXPIRES_MS) });
    this.#nc.publish(this.#subject, body, { reply: this.#inbox });
  }

  /** Looks after a while whether anything was heard of what was asked for. */
  #listen(afterMs: number = SILENCE_MS): void {
    this.#silence ??= this.#env.timers.after(afterMs, () => {
      this.#silence = undefined;
      if (this.outstanding === 0 || this.#isClosed) return;
      const silentMs = this.#env.clock.monotonic() - this.#heardMs;
      if (silentMs < SILENCE_MS) this.#listen(SILENCE_MS - silentMs);
      else this.#events.failed(new Error("the server says nothing about what was asked for"));
    });
  }

  #take(message: Msg): void {
    this.#heardMs = this.#env.clock.monotonic();
    if (message.headers !== undefined && message.headers.code > 0) {
      this.#status(message.headers);
      return;
    }
    this.outstanding--;
    this.#events.receive(pulled(message));
  }

  #status(headers: MsgHdrs): void {
    const { code, description } = headers;
    if (code === EXPIRED) {
      const left = Number(headers.get("Nats-Pending-Messages"));
      if (left > 0) this.#request(left);
    } else if (code !== HEARTBEAT) this.#events.failed(new Error(`${code} ${description}`));
  }
}

const HEARTBEAT = 100;
const EXPIRED = 408;

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<delivery>.<time>.<pending>`, or with domain and account hash before. */
function pulled(message: Msg): PulledMessage {
  const reply = message.reply ?? "";
  const tokens = reply.split(".");
  const base = tokens.length === 9 ? 4 : 6;
  const number = (i: number): number => Number(tokens[base + i]);
  return {
    subject: message.subject,
    data: message.data,
    headers: message.headers,
    attempt: number(0),
    sequence: number(1),
    delivery: number(2),
    // Nanoseconds are more than a number holds exactly.
    timeMs: Number((tokens[base + 3] ?? "").slice(0, -6)),
    reply,
  };
}

/** There are no more messages, or none came in time. Whatever else a server says does not mean that there are none. */
const NOTHING_MORE: ReadonlySet<number> = new Set([404, EXPIRED]);

/** What a consumer has now, at most `batch`; an empty answer is the end. @throws Error the server does not say what it has */
export function pullNow(nc: NatsConnection, stream: string, consumer: string, batch: number): Promise<PulledMessage[]> {
  const inbox = createInbox();
  const found: PulledMessage[] = [];
  return new Promise((resolve, reject) => {
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => {
        const code = message.headers?.code ?? 0;
        if (error === null && code === HEARTBEAT) return;
        if (error === null && code === 0) {
          found.push(pulled(message));
          if (found.length < batch) return;
        }
        subscription.unsubscribe();
        if (error !== null) reject(error);
        else if (code === 0 || NOTHING_MORE.has(code)) resolve(found);
        else reject(new Error(`${code} ${message.headers?.description ?? ""}`));
      },
    });
    void nc.closed().then(() => reject(new Error("the connection ended")));
    nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify({ batch, no_wait: true }), {
      reply: inbox,
    });
  });
}
