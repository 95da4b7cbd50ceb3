/**
 * A JetStream stream as a source. Positions are the stream's sequence numbers, and the cursor is in Millrace's own log: the
 * consumer on the server is thrown away with the connection, and acknowledges nothing. So nothing on the server can be behind
 * or ahead of what was committed.
 */
import type { Env, RejectedInput } from "@millrace/engine";
import { AckPolicy, type ConsumerInfo, DeliverPolicy, type NatsConnection, nanos, type StreamInfo } from "nats";
import { beginningOf } from "../format/decoded.ts";
import type { MessageBatch, MessageReader, MessageSourceDriver } from "../resilience/message-source.ts";
import { natsError } from "./errors.ts";
import { PullConsumer, type PulledMessage } from "./pull-consumer.ts";
import type { RowDecoder } from "./row-decoder.ts";
import { firstKept, gapError, refuseShorter, streamInfo } from "./stream-gap.ts";

export interface JetStreamSourceOptions {
  readonly stream: string;
  /** Only messages of this subject, wildcards allowed. */
  readonly filter?: string;
  /**
   * What to do about messages that the stream removed unread: fail with SOURCE-GAP, or write the range down as a dead letter
   * and go on. `"ignore"` where only the newest message of a key counts.
   */
  readonly gap: "stop" | "record" | "ignore";
  /** Ends with the last message that the stream has when it is first opened. */
  readonly untilNow: boolean;
  readonly row: RowDecoder;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

const POLL_MS = 250;
/** Bytes that may be on their way or waiting to be read. */
const BYTES_AHEAD = 8 * 1024 * 1024;
const FIRST_BATCH = 256;
/** The server forgets a consumer that nobody pulls from; it is then made again from the cursor. */
const FORGOTTEN_AFTER_MS = 300_000;

export function jetStreamSource(
  options: JetStreamSourceOptions,
  env: Env,
): MessageSourceDriver<NatsConnection, PulledMessage> {
  let end: number | undefined;
  return {
    capabilities: { replay: options.gap !== "ignore", ordered: true, bounded: options.untilNow },
    partitions: ["0"],
    form: {
      position: ({ sequence }) => sequence,
      value: ({ data }) => data,
      row: options.row,
      shown: ({ data }) => beginningOf(data),
    },
    async open(nc, _partition, after) {
      const info = await streamInfo(nc, options.stream);
      const { retention } = info.config;
      if (retention !== "limits")
        throw natsError("NATS-RETENTION", `stream ${options.stream} has retention ${retention}`);
      if (options.untilNow) end ??= info.state.last_seq;
      return JetStreamReader.open({ nc, options, env, end }, info, after);
    },
  };
}

interface ReaderContext {
  readonly nc: NatsConnection;
  readonly options: JetStreamSourceOptions;
  readonly env: Env;
  /** Sequence of the last message to read. */
  readonly end: number | undefined;
}

class JetStreamReader implements MessageReader<PulledMessage> {
  readonly identity: string;
  readonly #context: ReaderContext;
  readonly #consumer: PullConsumer;
  readonly #consumerName: string;
  readonly #rejected: RejectedInput[] = [];
  #waiting: PulledMessage[] = [];
  #failure: Error | undefined;
  #wake: () => void = () => undefined;
  /** Everything up to here was handed out, or is not there. */
  #through: number;
  #deliveries = 0;
  #messageBytes = 0;
  #isClosed = false;

  private constructor(context: ReaderContext, info: StreamInfo, consumer: ConsumerInfo, after: number) {
    this.identity = `${info.config.name} of ${info.created}`;
    this.#context = context;
    this.#through = after;
    this.#consumerName = consumer.name;
    this.#consumer = new PullConsumer(context.nc, context.env, info.config.name, consumer.name, {
      receive: (message) => this.#receive(message),
      failed: (error) => this.#fail(error),
    });
    if (after < 0) return;
    refuseShorter(info, after);
    this.#gapUpTo(firstKept(info) - 1);
  }

  /** @throws SOURCE-GAP, SOURCE-RECREATED */
  static async open(context: ReaderContext, info: StreamInfo, after: number): Promise<JetStreamReader> {
    const { nc, options } = context;
    const jsm = await nc.jetstreamManager({ checkAPI: false });
    const consumer = await jsm.consumers.add(options.stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, after + 1),
      ack_policy: AckPolicy.None,
      inactive_threshold: nanos(FORGOTTEN_AFTER_MS),
      mem_storage: true,
      ...(options.filter === undefined ? {} : { filter_subject: options.filter }),
    });
    return new JetStreamReader(context, info, consumer, after);
  }

  async read(messagesMax: number): Promise<MessageBatch<PulledMessage> | "idle" | "end"> {
    while (!this.#isClosed) {
      if (this.#failure !== undefined) throw this.#failure;
      const batch = await this.#batch(messagesMax);
      if (batch !== undefined) return batch;
      const { end } = this.#context;
      if (end !== undefined && this.#through >= end) return "end";
      this.#ask(messagesMax);
      if (await this.#arrival()) continue;
      const silence = await this.#silence();
      if (silence !== undefined) return silence;
    }
    return "idle";
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#consumer.close();
    this.#wake();
  }

  #receive(message: PulledMessage): void {
    if (message.delivery !== this.#deliveries + 1) {
      this.#fail(new Error(`delivery ${message.delivery} of the consumer came after ${this.#deliveries}`));
      return;
    }
    this.#deliveries = message.delivery;
    this.#messageBytes += (message.data.length - this.#messageBytes) / 16;
    this.#waiting.push(message);
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** Keeps as much on its way as a read may take, but no more bytes than may wait here. */
  #ask(messagesMax: number): void {
    const byBytes = this.#deliveries === 0 ? FIRST_BATCH : Math.ceil(BYTES_AHEAD / Math.max(1, this.#messageBytes));
    const target = Math.max(1, Math.min(messagesMax, byBytes));
    const held = this.#consumer.outstanding + this.#waiting.length;
    if (held * 2 <= target) this.#consumer.pull(target - held);
  }

  /** Waits for a message; false when the time is up. */
  #arrival(): Promise<boolean> {
    const { env, options } = this.#context;
    if (this.#waiting.length > 0 || this.#failure !== undefined || this.#isClosed) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = env.timers.after(options.pollMs ?? POLL_MS, () => resolve(false));
      this.#wake = () => {
        timer.cancel();
        resolve(true);
      };
    });
  }

  /** Nothing came: says so only if the server has nothing. All up to its last sequence is then covered (R2). */
  async #silence(): Promise<MessageBatch<PulledMessage> | "idle" | undefined> {
    const { nc, options, end } = this.#context;
    const { state } = await streamInfo(nc, options.stream);
    const jsm = await nc.jetstreamManager({ checkAPI: false });
    const { num_pending, delivered } = await jsm.consumers.info(options.stream, this.#consumerName);
    if (num_pending > 0 || delivered.consumer_seq > this.#deliveries || this.#waiting.length > 0) return undefined;
    const covered = Math.min(state.last_seq, end ?? state.last_seq);
    if (covered <= this.#through) return "idle";
    this.#through = covered;
    return { messages: [], through: covered, rejected: [] };
  }

  async #batch(messagesMax: number): Promise<MessageBatch<PulledMessage> | undefined> {
    const n = await this.#untilGap(messagesMax);
    const { end = Number.POSITIVE_INFINITY } = this.#context;
    const messages = this.#waiting.splice(0, n).filter(({ sequence }) => sequence <= end);
    const rejected = this.#rejected.splice(0);
    if (messages.length === 0 && rejected.length === 0) return undefined;
    this.#through = Math.max(this.#through, messages.at(-1)?.sequence ?? -1);
    return { messages, through: this.#through, rejected };
  }

  /** How many of the waiting messages lie before the first gap; a gap before all of them is reported first. */
  async #untilGap(messagesMax: number): Promise<number> {
    const { nc, options } = this.#context;
    const n = Math.min(messagesMax, this.#waiting.length);
    if (options.gap === "ignore" || this.#through < 0) return n;
    const hole = this.#waiting.findIndex(({ sequence }, i) => i < n && sequence !== this.#before(i) + 1);
    if (hole < 0) return n;
    const kept = firstKept(await streamInfo(nc, options.stream));
    if (kept <= this.#before(hole) + 1) return n;
    if (hole > 0) return hole;
    this.#gapUpTo(Math.min(kept, (this.#waiting[0] as PulledMessage).sequence) - 1);
    return n;
  }

  /** The sequence that precedes a waiting message. */
  #before(i: number): number {
    return i === 0 ? this.#through : (this.#waiting[i - 1] as PulledMessage).sequence;
  }

  /** @throws SOURCE-GAP */
  #gapUpTo(to: number): void {
    const { stream, gap, filter } = this.#context.options;
    const from = this.#through + 1;
    if (gap === "ignore" || to < from) return;
    const error = gapError(stream, from, to, filter);
    if (gap === "stop") {
      this.#consumer.close();
      throw error;
    }
    this.#rejected.push({ pos: to, error, input: { stream, from, to } });
    this.#through = to;
  }
}
