/**
 * Writes messages to a topic, each delivery in one transaction. Every message carries a header made of its sink, lane, position
 * and ordinal, the same for ever. Before it goes on after anything that went wrong, the sink takes its name over, which aborts
 * what an earlier incarnation had begun and shuts it out, and then reads which of its messages the topic has beyond what was
 * committed, and leaves these out. So nothing depends on how long anything takes.
 *
 * Offsets that are committed in a transaction could hold the cursor, too, but brokers forget them after a week without a member.
 */
import { type InputSlice, isJsonObject, type Json } from "@millrace/engine";
import { type EventMode, messageParts, prefixed } from "../format/event-message.ts";
import { type EncodeMessage, jsonEncoder, type MessageEncoder } from "../format/message-format.ts";
import type { SinkDriver } from "../resilience/resilient-sink.ts";
import type { Compression } from "./compression.ts";
import type { Fetched, KafkaClient, KafkaWriter, OutgoingRecord } from "./driver.ts";
import { kafkaError } from "./errors.ts";
import { partitionOf } from "./partitioner.ts";

export interface TopicSinkOptions {
  readonly topic: string;
  /** Names the sink among all that write to the cluster: graph and node. */
  readonly id: string;
  /** Field of a row that its key is in; absent: rows have no key, and each delivery goes to the next partition. */
  readonly key?: string;
  /** What values are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
  /** Rows are events, and values are as that says. */
  readonly events?: EventMode | undefined;
  /** Default: none. */
  readonly compression?: Compression | undefined;
}

/** Where a sink stands: the topic's id, and for each partition the offset from which on it does not know what is there. */
interface Committed {
  readonly topic: string;
  readonly next: Readonly<Record<string, number>>;
}

interface Opened {
  readonly writer: KafkaWriter;
  readonly partitions: number;
  /** The topic's id. */
  readonly topic: string;
  /** Ids that the topic has beyond what was committed, and that have not come again yet. */
  readonly present: Set<string>;
  /** Where they were looked for, and where the partitions ended then, or end by what was written since. */
  readonly from: Readonly<Record<string, number>>;
  readonly ends: Readonly<Record<string, number>>;
}

export const MESSAGE_ID = "millrace-id";

export function topicSink(options: TopicSinkOptions): SinkDriver<KafkaClient> {
  const { topic, id, key, format = jsonEncoder, events } = options;
  const prefix = `${encodeURIComponent(id)}/`;
  let opened: Opened | undefined;
  let turn = 0;
  return {
    guarantee: "key",
    async open(client, committed) {
      opened = undefined;
      opened = await openTopic(client, options, prefix, committed as Committed | undefined);
    },
    async deliver(_client, slices) {
      if (opened === undefined) throw new Error("the sink was not opened");
      const { writer, partitions, present, from } = opened;
      const place = (row: Json): Place => placed(row, key, turn % partitions, partitions, topic);
      const encode = await format.prepared();
      const message = events === undefined ? encoded(encode) : (row: Json): Message => eventOf(row, events);
      const records = recordsOf(slices, prefix, present, place, message);
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
  { topic, id, compression }: TopicSinkOptions,
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
    const { first, end } = await client.range(topic, partition);
    const known = committed?.topic === description.id ? (committed.next[partition] ?? 0) : 0;
    from[partition] = Math.max(first, known);
    ends[partition] = end;
    await collect(client, { topic, topicId: description.id, partition }, Math.max(first, known), end, prefix, present);
  }
  return { writer, partitions: description.partitions, topic: description.id, present, from, ends };
}

/** Adds the ids of the sink's messages between two offsets of a partition: those that count, whatever others have under way. */
async function collect(
  client: KafkaClient,
  place: { readonly topic: string; readonly topicId: string; readonly partition: number },
  from: number,
  end: number,
  prefix: string,
  present: Set<string>,
): Promise<void> {
  const open = new Map<string, string[]>();
  for (let offset = from; offset < end; ) {
    const read = await client.fetch({ ...place, offset, ...SCAN });
    if (typeof read === "string") throw new Error(`${place.topic}/${place.partition} has nothing at ${offset}`);
    decide(read, prefix, open, present);
    if (read.next === offset) throw new Error(`${place.topic}/${place.partition} gives nothing at ${offset}`);
    offset = read.next;
  }
}

const SCAN = { bytesMax: 4 * 1024 * 1024, waitMs: 1000, committedOnly: false, lane: "sink" };

/** Own transactions are all over by now, so each has its marker. */
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
  for (const { offset, headers, producer } of records) {
    const id = headers[MESSAGE_ID];
    const text = id instanceof Uint8Array ? Buffer.from(id).toString() : "";
    if (!text.startsWith(prefix)) continue;
    pass(offset);
    const ids = open.get(producer) ?? [];
    ids.push(text);
    open.set(producer, ids);
  }
  pass(Number.POSITIVE_INFINITY);
}

interface Place {
  readonly partition: number;
  readonly key: string | null;
}

function recordsOf(
  slices: readonly InputSlice[],
  prefix: string,
  present: Set<string>,
  place: (row: Json) => Place,
  message: (row: Json) => Message,
): ReadonlyMap<number, readonly OutgoingRecord[]> {
  const records = new Map<number, OutgoingRecord[]>();
  for (const { lane, batch, positions } of slices) {
    const of = `${prefix}${encodeURIComponent(lane)}`;
    for (let i = 0; i < batch.n; i++) {
      const id = `${of}/${positions.pos(i)}/${positions.ord(i)}`;
      if (present.delete(id)) continue;
      const row = batch.row(i);
      const { partition, key } = place(row);
      const rows = records.get(partition) ?? [];
      const { value, headers } = message(row);
      rows.push({ key, value, headers: { ...headers, [MESSAGE_ID]: id } });
      records.set(partition, rows);
    }
  }
  return records;
}

type Message = Pick<OutgoingRecord, "value" | "headers">;

const encoded =
  (encode: EncodeMessage) =>
  (row: Json): Message => ({ value: encode(row), headers: {} });

/** As Kafka's binding has it: `ce_` before the names, `content-type` for that of the data or the event. */
function eventOf(row: Json, events: EventMode): Message {
  const { body, contentType, attributes } = messageParts(row, events);
  const type = contentType === undefined ? {} : { "content-type": contentType };
  return { value: body, headers: { ...prefixed("ce_", attributes), ...type } };
}

/** @throws KAFKA-KEY */
function placed(row: Json, field: string | undefined, otherwise: number, partitions: number, topic: string): Place {
  if (field === undefined) return { partition: otherwise, key: null };
  const value = isJsonObject(row) ? row[field] : undefined;
  if (value === undefined || value === null || typeof value === "object")
    throw kafkaError("KAFKA-KEY", `a row for topic ${topic} has ${JSON.stringify(value) ?? "nothing"} in \`${field}\``);
  return { partition: partitionOf(String(value), partitions), key: String(value) };
}
