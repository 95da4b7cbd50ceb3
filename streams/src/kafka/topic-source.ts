/**
 * One partition of a topic as a source. Positions are its offsets, and the cursor is in Millrace's own log: there is no consumer
 * group that could assign the partition to somebody else, and nothing on the brokers can be behind or ahead of what was
 * committed. What is not read is not fetched, but for one fetch ahead.
 */
import type { Env, RejectedInput } from "@millrace/engine";
import type { MessageBatch, MessageReader, MessageSourceDriver } from "../resilience/message-source.ts";
import type { Fetched, KafkaClient, KafkaRecord, OffsetRange } from "./driver.ts";
import { type RecordPlace, type RowDecoder, shownValue } from "./row-decoder.ts";
import { gapError, missingTopic, refuseShorter } from "./topic-gap.ts";

export interface TopicSourceOptions {
  readonly topic: string;
  /** What to do about records that retention removed unread: fail with SOURCE-GAP, or write the range down and go on. */
  readonly gap: "stop" | "record";
  /** Ends with the last record that the partition has when it is first opened. */
  readonly untilNow: boolean;
  /** Records of transactions that are open or were aborted, too. */
  readonly uncommitted: boolean;
  readonly row: RowDecoder;
  /** Consumer group that is told how far was read, for whoever watches lag. */
  readonly group?: string;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
}

const POLL_MS = 250;
const BYTES_MAX = 1024 * 1024;
const GROUP_MS = 2000;

export function topicSource(
  options: TopicSourceOptions,
  partition: number,
  env: Env,
): MessageSourceDriver<KafkaClient, KafkaRecord> {
  const place = { topic: options.topic, partition };
  let end: number | undefined;
  return {
    capabilities: { replay: true, ordered: true, bounded: options.untilNow },
    partitions: [String(partition)],
    form: {
      position: ({ offset }) => offset,
      value: ({ value }) => value ?? undefined,
      row: (record, decode) => options.row(record, place, decode),
      shown: shownValue,
    },
    async open(client, _partition, after) {
      const topicId = await idOf(client, place);
      const range = await client.range(place.topic, partition);
      if (after >= 0) refuseShorter(place, range, after);
      if (options.untilNow) end ??= range.end - 1;
      return new PartitionReader({ client, options, env, place, topicId, end }, range, after);
    },
  };
}

/** The same for as long as an offset means the same record. @throws SOURCE-MISSING */
async function idOf(client: KafkaClient, place: RecordPlace): Promise<string> {
  const found = await client.describe(place.topic);
  if (found === undefined || place.partition >= found.partitions) throw missingTopic(place, found);
  return found.id;
}

const identityOf = (topic: string, id: string): string => `${topic} of id ${id}`;

interface ReaderContext {
  readonly client: KafkaClient;
  readonly options: TopicSourceOptions;
  readonly env: Env;
  readonly place: RecordPlace;
  readonly topicId: string;
  /** Offset of the last record to read. */
  readonly end: number | undefined;
}

class PartitionReader implements MessageReader<KafkaRecord> {
  identity: string;
  readonly #context: ReaderContext;
  readonly #rejected: RejectedInput[] = [];
  /** Fetched, and not handed out. */
  #waiting: readonly KafkaRecord[] = [];
  /** The offset behind all that was fetched. */
  #next: number;
  /** Everything up to here was handed out, or is not there. */
  #through: number;
  /** Everything up to here was taken, too. */
  #taken: number;
  #ahead: Promise<Fetched | "out-of-range" | "missing"> | undefined;
  #toldMs: number;
  #isClosed = false;

  constructor(context: ReaderContext, range: OffsetRange, after: number) {
    this.#context = context;
    this.identity = identityOf(context.place.topic, context.topicId);
    this.#through = after;
    this.#taken = after;
    this.#toldMs = context.env.clock.monotonic();
    if (after >= 0) this.#gapUpTo(range.first - 1);
    this.#next = Math.max(this.#through + 1, range.first);
  }

  async read(messagesMax: number): Promise<MessageBatch<KafkaRecord> | "idle" | "end"> {
    const { end } = this.#context;
    while (!this.#isClosed) {
      if (this.#waiting.length > 0 || this.#rejected.length > 0) return this.#batch(messagesMax);
      if (end !== undefined && this.#through >= end) return "end";
      const covered = await this.#fetch();
      if (this.#waiting.length > 0 || this.#rejected.length > 0) continue;
      await this.#tell();
      if (!covered) return "idle";
      return this.#empty();
    }
    return "idle";
  }

  taken(): void {
    this.#taken = this.#through;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#tell(true);
  }

  /** Whether it brought anything, if only offsets without records. */
  async #fetch(): Promise<boolean> {
    const fetched = await (this.#ahead ?? this.#request());
    this.#ahead = undefined;
    if (fetched === "out-of-range") await this.#outOfRange();
    if (fetched === "missing") await this.#missing();
    if (typeof fetched === "string") return this.#rejected.length > 0;
    const before = this.#next;
    this.#waiting = fetched.records;
    this.#next = fetched.next;
    return fetched.next > before;
  }

  #request(): Promise<Fetched | "out-of-range" | "missing"> {
    const { client, options, place, topicId } = this.#context;
    return client.fetch({
      ...place,
      topicId,
      offset: this.#next,
      bytesMax: BYTES_MAX,
      waitMs: options.pollMs ?? POLL_MS,
      committedOnly: !options.uncommitted,
      lane: `source/${place.partition}`,
    });
  }

  /** Whoever reads from it sees that it is another one. @throws SOURCE-MISSING */
  async #missing(): Promise<void> {
    const { client, place } = this.#context;
    this.identity = identityOf(place.topic, await idOf(client, place));
  }

  /** @throws SOURCE-GAP, SOURCE-RECREATED */
  async #outOfRange(): Promise<void> {
    const { client, place } = this.#context;
    const range = await client.range(place.topic, place.partition);
    refuseShorter(place, range, this.#next - 1);
    this.#gapUpTo(range.first - 1);
    this.#next = Math.max(this.#next, range.first);
  }

  #batch(messagesMax: number): MessageBatch<KafkaRecord> {
    const { end = Number.POSITIVE_INFINITY } = this.#context;
    const rejected = this.#rejected.splice(0);
    const taken = this.#waiting.slice(0, messagesMax);
    this.#waiting = this.#waiting.slice(messagesMax);
    const last = this.#waiting.length > 0 ? (taken.at(-1)?.offset ?? this.#through) : this.#next - 1;
    this.#through = Math.max(this.#through, Math.min(last, end));
    if (this.#waiting.length === 0) this.#fetchAhead();
    return { messages: taken.filter(({ offset }) => offset <= end), through: this.#through, rejected };
  }

  /** Offsets without records: they are covered all the same. */
  #empty(): MessageBatch<KafkaRecord> {
    this.#through = Math.max(this.#through, Math.min(this.#next - 1, this.#context.end ?? Number.POSITIVE_INFINITY));
    return { messages: [], through: this.#through, rejected: [] };
  }

  #fetchAhead(): void {
    const { end } = this.#context;
    if (this.#isClosed || (end !== undefined && this.#next > end)) return;
    this.#ahead = this.#request();
    // It fails when it is asked for.
    this.#ahead.catch(() => undefined);
  }

  /** @throws SOURCE-GAP */
  #gapUpTo(to: number): void {
    const { place, options } = this.#context;
    const from = this.#through + 1;
    if (to < from) return;
    const error = gapError(place, from, to);
    if (options.gap === "stop") throw error;
    this.#rejected.push({ pos: to, error, input: { ...place, from, to } });
    this.#through = to;
  }

  /** Lag is for people to look at: it is told now and then, and nothing depends on it. */
  async #tell(isLast = false): Promise<void> {
    const { client, options, env, place } = this.#context;
    const now = env.clock.monotonic();
    if (options.group === undefined || this.#taken < 0 || (!isLast && now - this.#toldMs < GROUP_MS)) return;
    this.#toldMs = now;
    await client.commitOffset(options.group, place.topic, place.partition, this.#taken + 1).catch(() => undefined);
  }
}
