/**
 * Writes messages to a topic, each delivery in one transaction. Every message carries a header made of its sink, lane, position
 * and ordinal, the same for ever. Before it goes on after anything that went wrong, the sink takes its name over, which aborts
 * what an earlier incarnation had begun and shuts it out, and then reads which of its messages the topic has beyond what was
 * committed, and leaves these out; what brokers that crashed have forgotten to abort it aborts itself. So nothing depends on how long
 * anything takes.
 *
 * Offsets that are committed in a transaction could hold the cursor, too, but brokers forget them after a week without a member.
 */
import type { Batch, InputSlice, PartitionKernel } from "@millrace/engine";
import type { EncodeMessage } from "../format/message-format.ts";
import { type MessageParts, NO_ATTRIBUTES, prefixed } from "../format/message-parts.ts";
import type { MessageSinkDriver } from "../resilience/message-sink.ts";
import type { Compression } from "./compression.ts";
import type { Fetched, KafkaClient, KafkaWriter, OutgoingRecord } from "./driver.ts";
import { KeyPlacer } from "./key-placer.ts";

export interface TopicSinkOptions {
  readonly topic: string;
  /** Names the sink among all that write to the cluster: graph and node. */
  readonly id: string;
  /** Field of a row that its key is in; absent: rows have no key, and each delivery goes to the next partition. */
  readonly key?: string;
  /** Default: none. */
  readonly compression?: Compression | undefined;
  /** Places many keys at once. Default: TypeScript, one after the other. */
  readonly kernel?: PartitionKernel | undefined;
}

/** Where a sink stands: the topic's id, and for each partition the offset from which on it does not know what is there. */
interface Committed {
  readonly topic: string;
  readonly next: Readonly<Record<string, number>>;
}

interface Opened {
  readonly writer: KafkaWriter;
  readonly partitions: number;
  /** Absent: rows have no key. */
  readonly placer: KeyPlacer | undefined;
  /** The topic's id. */
  readonly topic: string;
  /** Ids that the topic has beyond what was committed, and that have not come again yet. */
  readonly present: Set<string>;
  /** Where they were looked for, and where the partitions ended then, or end by what was written since. */
  readonly from: Readonly<Record<string, number>>;
  readonly ends: Readonly<Record<string, number>>;
}

export const MESSAGE_ID = "millrace-id";

export function topicSink(options: TopicSinkOptions): MessageSinkDriver<KafkaClient> {
  const { topic, id } = options;
  const prefix = `${encodeURIComponent(id)}/`;
  let opened: Opened | undefined;
  let turn = 0;
  return {
    guarantee: "key",
    async open(client, committed) {
      opened = undefined;
      opened = await openTopic(client, options, prefix, committed as Committed | undefined);
    },
    async deliver(_client, slices, encode) {
      if (opened === undefined) throw new Error("the sink was not opened");
      const { writer, partitions, placer, present, from } = opened;
      const other = turn % partitions;
      const places = (batch: Batch): Places => placer?.places(batch) ?? unkeyed(batch, other);
      const records = recordsOf(slices, prefix, present, places, encode);
      turn++;
      const ends = records.size === 0 ? new Map<number, number>() : await writer.write(topic, records);
      opened = { ...opened, ends: { ...opened.ends, ...Object.fromEntries(ends) } };
      // What a delivery wrote may come again in several: the place to look for it moves when all of it has come.
      return { topic: opened.topic, next: present.size === 0 ? opened.ends : from };
    },
  };
}

async function openTopic(
  client: KafkaClient,
  { topic, id, key: field, compression, kernel }: TopicSinkOptions,
  prefix: string,
  committed: Committed | undefined,
): Promise<Opened> {
  const description = await client.describe(topic);
  if (description === undefined) throw new Error(`there is no topic ${topic}`);
  // First, so that nothing of an earlier incarnation can follow what is read.
  const writer = await client.writer(`millrace/${id}`, compression);
  const present = new Set<string>();
  const from: Record<string, number> = {};
  const ends: Record<string, number> = {};
  for (let partition = 0; partition < description.partitions; partition++) {
    const place = { topic, topicId: description.id, partition };
    const { first, end } = await client.range(topic, partition);
    const known = committed?.topic === description.id ? (committed.next[partition] ?? 0) : 0;
    const begin = Math.max(first, known);
    from[partition] = begin;
    const endOpen = (): Promise<void> => writer.abort(topic, partition);
    ends[partition] = await collect(client, { ...place, prefix, begin, end, endOpen }, present);
  }
  const { partitions } = description;
  const placer = field === undefined ? undefined : new KeyPlacer({ topic, field, partitions, kernel });
  return { writer, partitions, placer, topic: description.id, present, from, ends };
}

interface Search {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** What ids of the sink's messages begin with. */
  readonly prefix: string;
  readonly begin: number;
  /** Where the partition ended when everything that the brokers knew to be open was over. */
  readonly end: number;
  /** Ends what the brokers have forgotten to end. */
  readonly endOpen: () => Promise<void>;
}

/**
 * Adds the ids of the sink's messages between two offsets of a partition, and reads on until of each is known whether it counts: those
 * that do, whatever others have under way. The offset behind all that was read.
 */
async function collect(client: KafkaClient, search: Search, present: Set<string>): Promise<number> {
  const { topic, topicId, partition, prefix, begin, end, endOpen } = search;
  const open = new Map<string, string[]>();
  let isEnded = false;
  for (let offset = begin; ; ) {
    if (offset >= end && open.size === 0) return offset;
    if (offset >= end && !isEnded) {
      await endOpen();
      isEnded = true;
    }
    const read = await client.fetch({ topic, topicId, partition, offset, ...SCAN });
    if (typeof read === "string") throw new Error(`${topic}/${partition} has nothing at ${offset}`);
    if (read.next === offset) throw new Error(`${topic}/${partition} gives nothing at ${offset}`);
    decide(read, prefix, open, present);
    offset = read.next;
  }
}

const SCAN = { bytesMax: 4 * 1024 * 1024, waitMs: 1000, committedOnly: false, lane: "sink" };

/** What a marker says of the messages before it. */
function decide(
  { records, markers }: Fetched,
  prefix: string,
  open: Map<string, string[]>,
  present: Set<string>,
): void {
  const ahead = [...markers];
  const pass = (offset: number): void => {
    for (let marker = ahead[0]; marker !== undefined && marker.offset < offset; marker = ahead[0]) {
      ahead.shift();
      const ids = open.get(marker.producer) ?? [];
      open.delete(marker.producer);
      if (marker.isCommit) for (const id of ids) present.add(id);
    }
  };
  for (const { offset, headers, producer, isTransactional } of records) {
    const id = headers[MESSAGE_ID];
    const text = id instanceof Uint8Array ? Buffer.from(id).toString() : "";
    if (!isTransactional || !text.startsWith(prefix)) continue;
    pass(offset);
    const ids = open.get(producer) ?? [];
    ids.push(text);
    open.set(producer, ids);
  }
  pass(Number.POSITIVE_INFINITY);
}

/** By row; without `keys` no row has one. */
interface Places {
  readonly partitions: readonly number[];
  readonly keys?: readonly string[];
}

function unkeyed({ n }: Batch, partition: number): Places {
  return { partitions: new Array<number>(n).fill(partition) };
}

function recordsOf(
  slices: readonly InputSlice[],
  prefix: string,
  present: Set<string>,
  places: (batch: Batch) => Places,
  encode: EncodeMessage,
): ReadonlyMap<number, readonly OutgoingRecord[]> {
  const records = new Map<number, OutgoingRecord[]>();
  for (const { lane, batch, positions } of slices) {
    const of = `${prefix}${encodeURIComponent(lane)}`;
    const { partitions, keys } = places(batch);
    for (let i = 0; i < batch.n; i++) {
      const id = `${of}/${positions.pos(i)}/${positions.ord(i)}`;
      if (present.delete(id)) continue;
      const partition = partitions[i] as number;
      const rows = records.get(partition) ?? [];
      const parts = encode(batch.row(i));
      rows.push({ key: keys?.[i] ?? null, value: parts.body, headers: { ...headersOf(parts), [MESSAGE_ID]: id } });
      records.set(partition, rows);
    }
  }
  return records;
}

/** Those of an event are as Kafka's binding has it: `ce_` before the names, `content-type` for that of the data or the event. */
function headersOf({ event, contentType, attributes }: MessageParts): Readonly<Record<string, string>> {
  if (event === undefined) return NO_ATTRIBUTES;
  const type = contentType === undefined ? {} : { "content-type": contentType };
  return { ...prefixed("ce_", attributes), ...type };
}
