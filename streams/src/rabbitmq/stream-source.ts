/**
 * A RabbitMQ stream as a source, over AMQP 0.9.1: positions are its offsets, and the cursor is in Millrace's own log. It is read from the
 * message at the cursor on, which is there for as long as nothing behind it can have been removed.
 */
import { type Env, engineError, type Json, type MillraceError, type RejectedInput } from "@millrace/engine";
import type { Channel, ConsumeMessage } from "amqplib";
import { beginningOf, decoded } from "../format/decoded.ts";
import type { DecodeMessage } from "../format/message-format.ts";
import type { MessageBatch, MessageReader, MessageSourceDriver } from "../resilience/message-source.ts";
import { ChannelWatch } from "./channel-watch.ts";
import { rabbitmqError } from "./errors.ts";
import { envelopeOf } from "./message-envelope.ts";
import type { RabbitLink } from "./rabbit-link.ts";
import { firstOffset, lastOffset, offsetOf } from "./stream-ends.ts";

export interface StreamSourceOptions {
  readonly stream: string;
  /** How many messages may be on their way or wait here. */
  readonly prefetch: number;
  /** Messages are `{exchange, key, id, redelivered, headers, data}`. */
  readonly envelope: boolean;
  readonly gap: "stop" | "record";
  /** Ends with the last message that there is when the source is first opened. */
  readonly untilNow: boolean;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
  /** How long a stream may end before the cursor until it counts as another one, in ms. Default 30 s. */
  readonly shorterMs?: number;
}

const POLL_MS = 250;
/** A replica that a consumer is led to may lag for a while. */
const SHORTER_MS = 30_000;
/** After so long without the message at the cursor it is looked whether it is there. */
const CHECK_MS = 3000;
const NOT_FOUND = 404;
/** AMQP's code for what can't be met: here, an offset in a queue that is no stream. */
const PRECONDITION_FAILED = 406;

export function streamSource(options: StreamSourceOptions, env: Env): MessageSourceDriver<RabbitLink, Arrived> {
  let end: number | undefined;
  const cursor = new KnownCursor(options, env);
  return {
    capabilities: { replay: true, ordered: true, bounded: options.untilNow },
    partitions: ["0"],
    form: {
      position: ({ offset }) => offset,
      value: ({ message }) => message.content,
      row: (arrived, decode) => rowOf(arrived, decode, options),
      shown: ({ message }) => beginningOf(message.content),
    },
    async open(link, _partition, after) {
      const channel = await channelOf(link, options.stream);
      if (options.untilNow) end ??= (await lastOffset(link, options.stream, env)) ?? -1;
      const reader = new StreamReader({ link, channel, options, env, end, cursor }, after);
      await reader.begin();
      return reader;
    },
  };
}

/** @throws SOURCE-MISSING */
async function channelOf(link: RabbitLink, stream: string): Promise<Channel> {
  const channel = await link.model.createChannel();
  // The call that fails says so.
  channel.on("error", () => undefined);
  await channel.checkQueue(stream).catch((cause: unknown) => {
    if ((cause as { readonly code?: unknown }).code !== NOT_FOUND) throw cause;
    throw engineError("SOURCE-MISSING", `there is no stream ${stream}`, { cause, place: { stream } });
  });
  return channel;
}

interface ReaderContext {
  readonly link: RabbitLink;
  readonly channel: Channel;
  readonly options: StreamSourceOptions;
  readonly env: Env;
  /** Offset of the last message to read. */
  readonly end: number | undefined;
  readonly cursor: KnownCursor;
}

/** Whether a stream still has the place that it was read up to; over all connections. */
class KnownCursor {
  readonly #options: StreamSourceOptions;
  readonly #env: Env;
  #shorterSinceMs: number | undefined;

  constructor(options: StreamSourceOptions, env: Env) {
    this.#options = options;
    this.#env = env;
  }

  found(): void {
    this.#shorterSinceMs = undefined;
  }

  /**
   * What it means that nothing came behind `after`, where the stream ends at `last`.
   *
   * @throws SOURCE-RECREATED
   */
  refuse(after: number, last: number | undefined): void {
    const { stream, shorterMs = SHORTER_MS } = this.#options;
    const now = this.#env.clock.monotonic();
    if (last === undefined) throw new Error(`stream ${stream} shows no message, but was read up to ${after}`);
    if (last >= after) throw new Error(`stream ${stream} does not send what is there behind ${after}`);
    this.#shorterSinceMs ??= now;
    if (now - this.#shorterSinceMs < shorterMs)
      throw new Error(`stream ${stream} is at ${last}, but was read up to ${after}`);
    throw recreated(stream, after, last);
  }
}

interface Arrived {
  readonly offset: number;
  readonly message: ConsumeMessage;
}

function rowOf({ offset, message }: Arrived, decode: DecodeMessage, { stream, envelope }: StreamSourceOptions): Json {
  const body = decoded(message.content, decode, () => ({
    name: `message ${offset} of ${stream}`,
    at: { stream, position: offset },
  }));
  return envelope ? envelopeOf(message)(body) : body;
}

class StreamReader implements MessageReader<Arrived> {
  readonly #context: ReaderContext;
  readonly #after: number;
  #waiting: Arrived[] = [];
  #wake: () => void = () => undefined;
  #failure: unknown;
  #isClosed = false;
  /** Everything up to here was handed out, or is not there. */
  #through: number;
  /** The first message has come, so the stream is known to go on behind the cursor. */
  #isFound: boolean;
  /** Something has come, or the stream is empty. */
  #hasBegun = false;
  readonly #openedMs: number;

  constructor(context: ReaderContext, after: number) {
    this.#context = context;
    this.#after = after;
    this.#through = after;
    this.#isFound = after < 0;
    this.#openedMs = context.env.clock.monotonic();
  }

  /** @throws RABBITMQ-QUEUE */
  async begin(): Promise<void> {
    const { channel, link, options } = this.#context;
    const { stream, prefetch } = options;
    const watch = new ChannelWatch(channel);
    watch.failed.catch((error: unknown) => this.#fail(error));
    void link.ended.then((reason) => this.#fail(reason ?? new Error("the connection has ended")));
    await channel.prefetch(prefetch);
    const offset = this.#after < 0 ? "first" : this.#after;
    const consuming = channel.consume(stream, (message) => this.#receive(message), {
      arguments: { "x-stream-offset": offset },
    });
    await consuming.catch((cause: unknown) => {
      throw (cause as { readonly code?: unknown }).code === PRECONDITION_FAILED ? noStream(stream, cause) : cause;
    });
  }

  async read(messagesMax: number): Promise<MessageBatch<Arrived> | "idle" | "end"> {
    const { env, end, options } = this.#context;
    const until = env.clock.monotonic() + (options.pollMs ?? POLL_MS);
    while (!this.#isClosed) {
      if (this.#failure !== undefined) throw this.#failure;
      const batch = await this.#batch(messagesMax);
      if (batch !== undefined) return batch;
      if (end !== undefined && (this.#through >= end || this.#isPast(end))) return "end";
      const leftMs = until - env.clock.monotonic();
      if (leftMs > 0) await this.#arrival(leftMs);
      else if (!(await this.#isMissing())) return "idle";
    }
    return "idle";
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    // A link that is cut would never answer, so nobody waits for it; closed with its connection, it cannot be closed once more.
    this.#context.channel.close().catch(() => undefined);
  }

  #isPast(end: number): boolean {
    return this.#isFound && (this.#waiting[0]?.offset ?? end) > end;
  }

  #receive(message: ConsumeMessage | null): void {
    const { stream } = this.#context.options;
    const offset = message === null ? undefined : offsetOf(message);
    if (message === null) this.#fail(new Error(`the broker ended the delivery of stream ${stream}`));
    else if (offset === undefined) this.#fail(noStream(stream));
    else this.#waiting.push({ offset, message });
    this.#hasBegun = true;
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }

  #arrival(ms: number): Promise<void> {
    if (this.#waiting.length > 0 || this.#failure !== undefined || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#context.env.timers.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /**
   * Nothing at all has come yet, so that nobody knows that there is nothing. Where a message must be there, the broker is asked for it.
   *
   * @throws SOURCE-RECREATED
   */
  async #isMissing(): Promise<boolean> {
    const { link, env, options, cursor } = this.#context;
    if (this.#hasBegun) return false;
    const leftMs = CHECK_MS - (env.clock.monotonic() - this.#openedMs);
    if (leftMs > 0) await this.#arrival(leftMs);
    if (this.#waiting.length > 0 || this.#failure !== undefined || this.#isClosed) return true;
    this.#hasBegun = this.#isFound;
    if (this.#isFound) return false;
    const last = await lastOffset(link, options.stream, env);
    if (this.#waiting.length === 0 && !this.#isClosed) cursor.refuse(this.#after, last);
    return true;
  }

  /** The next messages up to a gap or the end; `undefined`: none has come. */
  async #batch(messagesMax: number): Promise<MessageBatch<Arrived> | undefined> {
    const { channel, end = Number.POSITIVE_INFINITY } = this.#context;
    const rejected: RejectedInput[] = [];
    const messages: Arrived[] = [];
    let taken: ConsumeMessage | undefined;
    for (let n = 0; n < messagesMax; n++) {
      const [next] = this.#waiting;
      if (next === undefined) break;
      const gap = await this.#gapBefore(next.offset);
      // What lies before a gap is handed out before it.
      if (gap !== undefined && taken !== undefined && messages.length + rejected.length > 0) break;
      if (gap !== undefined) rejected.push(this.#passed(gap));
      this.#isFound = true;
      this.#context.cursor.found();
      if (next.offset > end) break;
      this.#waiting.shift();
      taken = next.message;
      if (next.offset <= this.#through) continue;
      this.#through = next.offset;
      messages.push(next);
    }
    // An acknowledgement is credit for as many more, and nothing else.
    if (taken !== undefined && this.#failure === undefined) channel.ack(taken, true);
    if (messages.length === 0 && rejected.length === 0) return undefined;
    return { messages, through: this.#through, rejected };
  }

  /**
   * Offsets that were removed between what was read and the message that has come. Some are missing inside of a stream, too: the broker keeps
   * notes of its own there.
   *
   * @throws SOURCE-RECREATED
   */
  async #gapBefore(offset: number): Promise<{ readonly from: number; readonly to: number } | undefined> {
    const { link, env, options } = this.#context;
    if (!this.#isFound && offset < this.#after) throw recreated(options.stream, this.#after, offset);
    const from = this.#through + 1;
    if (this.#through < 0 || offset <= from) return undefined;
    if (!this.#isFound) return { from, to: offset - 1 };
    const kept = await firstOffset(link, options.stream, env);
    // There is a message, so there is a first one: a broker that is slow to send it has removed nothing.
    if (kept === undefined) throw new Error(`stream ${options.stream} does not show where it begins`);
    return kept <= from ? undefined : { from, to: Math.min(kept, offset) - 1 };
  }

  /** @throws SOURCE-GAP */
  #passed({ from, to }: { readonly from: number; readonly to: number }): RejectedInput {
    const { stream, gap } = this.#context.options;
    const error = engineError("SOURCE-GAP", `stream ${stream} removed ${from} to ${to} before they were read`, {
      place: { stream, position: from },
      details: { stream, from, to },
    });
    if (gap === "stop") throw error;
    this.#through = to;
    return { pos: to, error, input: { stream, from, to } };
  }
}

function recreated(stream: string, read: number, last: number): MillraceError {
  return engineError("SOURCE-RECREATED", `stream ${stream} is at ${last}, but was read up to ${read}`, {
    place: { stream, position: read },
    details: { stream, read, last },
  });
}

function noStream(queue: string, cause?: unknown): MillraceError {
  const options = { place: { stream: queue }, ...(cause === undefined ? {} : { cause }) };
  return rabbitmqError("RABBITMQ-QUEUE", `queue ${queue} is no stream`, options);
}
