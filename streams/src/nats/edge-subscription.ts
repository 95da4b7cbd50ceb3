/**
 * The receiving end of one subject. Credit is what may be delivered; the server is asked for as much and no more. What is
 * refused comes again from here, in its place, without another way over the wire; what nobody answered comes again from the
 * server, to whoever has the subject next.
 */
import {
  type Delivery,
  type Env,
  MillraceError,
  type Subscription,
  sleep,
  type TransportMessage,
} from "@millrace/engine";
import type { NatsConnection } from "nats";
import type { Connection } from "../resilience/connection.ts";
import { decodeMessage } from "./edge-message.ts";
import { consumerName, type EdgeStream, ownerOf, takeOver } from "./edge-stream.ts";
import { PullConsumer, type PulledMessage } from "./pull-consumer.ts";

/** What is known of a subject's messages, from one subscription to the next. */
export interface SubjectMemory {
  /** When the stream was made whose sequences these are. */
  created: string;
  /** Deliveries of messages that were never taken. */
  readonly attempts: Map<number, number>;
  /** The newest messages that were taken: the server may not have heard of it. As many as a subject holds. */
  readonly taken: Set<number>;
}

export interface EdgeSubscriptionOptions {
  readonly env: Env;
  readonly connection: Connection<NatsConnection>;
  readonly stream: EdgeStream;
  /** As the caller names it, and as NATS does. */
  readonly subject: string;
  readonly natsSubject: string;
  readonly owner: string;
  readonly memory: SubjectMemory;
  readonly receive: (delivery: Delivery) => void;
  readonly credit: number;
}

const RETRY_MS = 50;
const ACK = "+ACK";

export class EdgeSubscription implements Subscription {
  readonly #options: EdgeSubscriptionOptions;
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;
  /** Granted and not used. */
  #credit: number;
  /** Here, and to be delivered; by sequence. */
  #waiting: PulledMessage[] = [];
  /** Delivered and not answered: where the answer goes. */
  readonly #unanswered = new Map<number, string>();
  #hadIt = false;
  #nc: NatsConnection | undefined;
  #pull: PullConsumer | undefined;
  #broken: () => void = () => undefined;

  constructor(options: EdgeSubscriptionOptions) {
    this.#options = options;
    this.#credit = options.credit;
    this.#running = this.#run();
  }

  grant(credit: number): void {
    this.#credit += credit;
    this.#deliver();
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#broken();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { env } = this.#options;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await this.#connected();
      } catch (error) {
        const waitMs = error instanceof MillraceError ? error.retryAfterMs : undefined;
        await sleep(env, waitMs ?? RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  /** One connection, from taking the subject to the connection's end. */
  async #connected(): Promise<void> {
    const { connection, stream, natsSubject, owner } = this.#options;
    const { signal } = this.#ended;
    const nc = await connection.acquire();
    try {
      await stream.ensure(nc, signal);
      // Once it had the subject, another owner of it is a newer subscription.
      const now = this.#hadIt ? await ownerOf(nc, stream, natsSubject) : undefined;
      if (now !== undefined && now !== owner) this.#ended.abort();
      if (signal.aborted) return;
      await takeOver(nc, stream, natsSubject, owner);
      this.#hadIt = true;
      // Asked only now: of a stream that was made anew meanwhile the consumer is the new one's.
      this.#recall(await stream.ensure(nc, signal));
      await this.#pulled(nc);
    } catch (error) {
      if (!(error instanceof MillraceError || signal.aborted)) await connection.suspect(nc);
      throw error;
    }
  }

  /** Sequences of a stream that was made anew are other messages'. */
  #recall(created: string): void {
    const { memory } = this.#options;
    if (memory.created === created) return;
    memory.created = created;
    memory.attempts.clear();
    memory.taken.clear();
    this.#unanswered.clear();
    this.#waiting = [];
  }

  async #pulled(nc: NatsConnection): Promise<void> {
    const { stream, natsSubject } = this.#options;
    // All that is not taken comes again, also what waits here.
    this.#waiting = [];
    const broken = new Promise<void>((resolve) => {
      this.#broken = resolve;
    });
    void nc.closed().then(this.#broken);
    const pull = new PullConsumer(nc, this.#options.env, stream.name, consumerName(natsSubject), {
      receive: (message) => this.#arrived(message),
      failed: () => this.#broken(),
    });
    this.#nc = nc;
    this.#pull = pull;
    this.#deliver();
    await broken;
    this.#pull = undefined;
    this.#nc = undefined;
    pull.close();
  }

  #arrived(message: PulledMessage): void {
    const { sequence, reply } = message;
    if (this.#options.memory.taken.has(sequence)) this.#nc?.publish(reply, ACK);
    else if (this.#unanswered.has(sequence)) this.#unanswered.set(sequence, reply);
    else this.#putBack(message);
    this.#deliver();
  }

  #putBack(message: PulledMessage): void {
    const at = this.#waiting.findIndex((other) => other.sequence > message.sequence);
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, message);
  }

  /** Delivers what is here as far as credit goes, and asks for as much as it still allows. */
  #deliver(): void {
    while (this.#credit > 0 && !this.#ended.signal.aborted) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#credit--;
      this.#hand(message);
    }
    const pull = this.#pull;
    const wanted = this.#credit - (pull?.outstanding ?? 0);
    if (wanted > 0) pull?.pull(wanted);
  }

  #hand(message: PulledMessage): void {
    const { memory, subject, receive } = this.#options;
    const { sequence } = message;
    const content = readable(message);
    if (content === undefined) {
      this.#taken(sequence, message.reply);
      return;
    }
    const attempt = (memory.attempts.get(sequence) ?? 0) + 1;
    memory.attempts.set(sequence, attempt);
    this.#unanswered.set(sequence, message.reply);
    let isAnswered = false;
    const { created } = memory;
    const answer = (isTaken: boolean): void => {
      if (isAnswered || this.#ended.signal.aborted || memory.created !== created) return;
      isAnswered = true;
      if (isTaken) this.#taken(sequence);
      else this.#refused(message);
    };
    receive({ subject, ...content, attempt, ack: () => answer(true), nack: () => answer(false) });
  }

  #taken(sequence: number, knownReply = ""): void {
    const { memory, stream } = this.#options;
    const reply = this.#unanswered.get(sequence) ?? knownReply;
    this.#unanswered.delete(sequence);
    memory.attempts.delete(sequence);
    memory.taken.add(sequence);
    for (const oldest of memory.taken) {
      if (memory.taken.size <= stream.capacity) break;
      memory.taken.delete(oldest);
    }
    // Without a connection the server hears of it when the message comes again.
    if (this.#nc?.isClosed() === false) this.#nc.publish(reply, ACK);
  }

  #refused(message: PulledMessage): void {
    const reply = this.#unanswered.get(message.sequence) ?? message.reply;
    this.#unanswered.delete(message.sequence);
    this.#putBack({ ...message, reply });
    this.#deliver();
  }
}

/** What is no message of a transport is nobody's: whoever writes into an edge's subject by hand gets nowhere. */
function readable({ data }: PulledMessage): TransportMessage | undefined {
  try {
    return decodeMessage(data);
  } catch {
    return undefined;
  }
}
