/** From records of a topic to rows. */
import type { Json } from "@millrace/engine";
import { beginningOf, decoded, type MessagePlace, undecodable } from "../format/decoded.ts";
import type { DecodeMessage } from "../format/message-format.ts";
import type { HeaderValue, KafkaRecord } from "./driver.ts";

/** Where a record comes from. */
export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
}

/** `decode`: of values. @throws MSG-DECODE, or what `decode` says, with its place */
export type RowDecoder = (record: KafkaRecord, place: RecordPlace, decode: DecodeMessage) => Json;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The record's value. A tombstone is none. */
export const valueRow: RowDecoder = (record, place, decode) => {
  if (record.value === null)
    throw undecodable(at(record, place), "it is a tombstone; with `envelope=true` it is a row with `value: null`");
  return decoded(record.value, decode, () => at(record, place));
};

/**
 * `{topic, partition, offset, time, key, headers, value}`: the value as a row, `null` for a tombstone; key and headers as texts,
 * or as `{base64}` where they are none; the time is `null` where the record has none, or one that no calendar has.
 */
export const envelopeRow: RowDecoder = (record, place, decode) => ({
  topic: place.topic,
  partition: place.partition,
  offset: record.offset,
  time: timeOf(record.timestampMs),
  key: shown(record.key),
  headers: Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, header(value)])),
  value: record.value === null ? null : decoded(record.value, decode, () => at(record, place)),
});

/** The value as far as it can be shown. */
export function shownValue({ value }: KafkaRecord): Json {
  return value === null ? null : beginningOf(value);
}

function timeOf(ms: number): string | null {
  const time = new Date(ms);
  return ms < 0 || Number.isNaN(time.getTime()) ? null : time.toISOString();
}

function header(value: HeaderValue): Json {
  return value instanceof Uint8Array || value === null ? shown(value) : value.map(shown);
}

function shown(bytes: Uint8Array | null): Json {
  if (bytes === null) return null;
  try {
    return utf8.decode(bytes);
  } catch {
    return { base64: Buffer.from(bytes).toString("base64") };
  }
}

function at({ offset }: KafkaRecord, { topic, partition }: RecordPlace): MessagePlace {
  const stream = `${topic}/${partition}`;
  return { name: `record ${offset} of ${stream}`, at: { stream, position: offset } };
}
