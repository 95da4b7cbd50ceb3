/** From records of a topic to rows. */
import { engineError, type Json, type MillraceError, messageOf } from "@millrace/engine";
import type { HeaderValue, KafkaRecord } from "./driver.ts";

/** Where a record comes from. */
export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
}

/** @throws MSG-DECODE */
export type RowDecoder = (record: KafkaRecord, place: RecordPlace) => Json;

const utf8 = new TextDecoder("utf-8", { fatal: true });
const SHOWN_BYTES_MAX = 4096;

/** The record's value as JSON. A tombstone is none. */
export const valueRow: RowDecoder = (record, place) => {
  if (record.value === null)
    throw undecodable(record, place, "it is a tombstone; with `envelope=true` it is a row with `value: null`");
  return parsed(record.value, record, place);
};

/**
 * `{topic, partition, offset, time, key, headers, value}`: the value as JSON, `null` for a tombstone; key and headers as texts,
 * or as `{base64}` where they are none.
 */
export const envelopeRow: RowDecoder = (record, place) => ({
  topic: place.topic,
  partition: place.partition,
  offset: record.offset,
  time: new Date(record.timestampMs).toISOString(),
  key: shown(record.key),
  headers: Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, header(value)])),
  value: record.value === null ? null : parsed(record.value, record, place),
});

/** The value as far as it can be shown. */
export function shownValue({ value }: KafkaRecord): string | null {
  return value === null ? null : Buffer.from(value.subarray(0, SHOWN_BYTES_MAX)).toString("utf8");
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

function parsed(value: Uint8Array, record: KafkaRecord, place: RecordPlace): Json {
  try {
    return JSON.parse(utf8.decode(value)) as Json;
  } catch (cause) {
    throw undecodable(record, place, messageOf(cause), cause);
  }
}

function undecodable(
  { offset }: KafkaRecord,
  { topic, partition }: RecordPlace,
  why: string,
  cause?: unknown,
): MillraceError {
  const place = { stream: `${topic}/${partition}`, position: offset };
  return engineError("MSG-DECODE", `record ${offset} of ${topic}/${partition} is no JSON: ${why}`, { place, cause });
}
