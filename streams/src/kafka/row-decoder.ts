/** From records of a topic to rows. */
import { engineError, type Json, MillraceError, messageOf } from "@millrace/engine";
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
const SHOWN_BYTES_MAX = 4096;

/** The record's value. A tombstone is none. */
export const valueRow: RowDecoder = (record, place, decode) => {
  if (record.value === null)
    throw undecodable(record, place, "it is a tombstone; with `envelope=true` it is a row with `value: null`");
  return decoded(record.value, record, place, decode);
};

/**
 * `{topic, partition, offset, time, key, headers, value}`: the value as a row, `null` for a tombstone; key and headers as texts,
 * or as `{base64}` where they are none.
 */
export const envelopeRow: RowDecoder = (record, place, decode) => ({
  topic: place.topic,
  partition: place.partition,
  offset: record.offset,
  time: new Date(record.timestampMs).toISOString(),
  key: shown(record.key),
  headers: Object.fromEntries(Object.entries(record.headers).map(([name, value]) => [name, header(value)])),
  value: record.value === null ? null : decoded(record.value, record, place, decode),
});

/** The value as far as it can be shown: as a text, or where it is none as `{base64}`. */
export function shownValue({ value }: KafkaRecord): Json {
  if (value === null) return null;
  const text = Buffer.from(value.subarray(0, SHOWN_BYTES_MAX)).toString("utf8");
  return text.includes("\0") ? { base64: Buffer.from(value.subarray(0, SHOWN_BYTES_MAX)).toString("base64") } : text;
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

function decoded(value: Uint8Array, record: KafkaRecord, place: RecordPlace, decode: DecodeMessage): Json {
  try {
    return decode(value);
  } catch (cause) {
    if (!(cause instanceof MillraceError)) throw undecodable(record, place, messageOf(cause), cause);
    const { code, kind, message, details = {} } = cause;
    throw new MillraceError(code, kind, `${named(record, place)}: ${message}`, {
      place: at(record, place),
      details,
      cause,
    });
  }
}

const named = ({ offset }: KafkaRecord, { topic, partition }: RecordPlace): string =>
  `record ${offset} of ${topic}/${partition}`;

const at = ({ offset }: KafkaRecord, { topic, partition }: RecordPlace): { stream: string; position: number } => ({
  stream: `${topic}/${partition}`,
  position: offset,
});

function undecodable(record: KafkaRecord, place: RecordPlace, why: string, cause?: unknown): MillraceError {
  return engineError("MSG-DECODE", `${named(record, place)} is no JSON: ${why}`, { place: at(record, place), cause });
}
