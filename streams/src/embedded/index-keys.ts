/**
 * Keys and values of the log's index in an ordered store. Numbers in keys are big endian, so byte order is number order. An
 * entry covers records of one segment that share a key, at most {@link ENTRY_RECORDS_MAX} of them.
 */

import type { NameKind } from "./dictionary.ts";
import { NAME_KINDS } from "./dictionary.ts";
import { viewOf } from "./little-endian.ts";
import type { RecordLocation } from "./tail-table.ts";

/** A new name when the rows change: an index that lacks it is built anew. */
export const CURSOR_TABLE = "log-cursor-3";
export const BLOCK_TABLE = "log-blocks";
export const STREAM_TABLE = "log-streams";
export const POSTING_TABLE = "log-postings";
export const NAME_TABLE = "log-names";
export const NUMBER_TABLE = "log-numbers";
export const LIST_TABLE = "log-lists";
/** Ends of streams below the base, for those that have no rows or whose rows lead to what was pruned. */
export const CARRIED_TABLE = "log-carried";
/** The base that they belong to; shorter than the key of a stream. */
export const CARRIED_BASE_KEY: Uint8Array = Buffer.from("base");
export const INDEX_TABLES = [
  CURSOR_TABLE,
  BLOCK_TABLE,
  STREAM_TABLE,
  POSTING_TABLE,
  LIST_TABLE,
  NAME_TABLE,
  NUMBER_TABLE,
  CARRIED_TABLE,
] as const;
export const CURSOR_KEY: Uint8Array = Buffer.from("cursor");

export const ENTRY_RECORDS_MAX = 256;
const NAME_KEY_BYTES_MAX = 400;

/** What a posting list is about. */
const POSTING_KINDS = ["type", "graph", "node", "correlation", "category", "starts", "tag"] as const;
export type PostingKind = (typeof POSTING_KINDS)[number];

export function positionKey(position: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  putPosition(key, 0, position);
  return key;
}

/** {@link positionKey} as part of a longer key. */
export function putPosition(key: Buffer, at: number, position: number): void {
  key.writeUInt32BE(Math.floor(position / 2 ** 32), at);
  key.writeUInt32BE(position % 2 ** 32, at + 4);
}

export function streamKey(stream: number, revision: number): Buffer {
  const key = Buffer.allocUnsafe(12);
  key.writeUInt32BE(stream, 0);
  positionKey(revision).copy(key, 4);
  return key;
}

/** `value` is a dictionary number, the 16 bytes of a correlation id, or what `textKey` makes of a category or tag. */
export function postingPrefix(kind: PostingKind, value: number | Uint8Array): Buffer {
  const head = POSTING_KINDS.indexOf(kind);
  if (typeof value !== "number") return Buffer.concat([Buffer.of(head), value]);
  const key = Buffer.allocUnsafe(5);
  key.writeUInt8(head, 0);
  key.writeUInt32BE(value, 1);
  return key;
}

export function nameKey(kind: NameKind, number: number): Buffer {
  const key = Buffer.allocUnsafe(5);
  key.writeUInt8(NAME_KINDS.indexOf(kind), 0);
  key.writeUInt32BE(number, 1);
  return key;
}

/** Names too long for a key share one under their beginning; the value tells them apart. */
export function numberKey(kind: NameKind, name: string): Buffer {
  return Buffer.concat([
    Buffer.of(NAME_KINDS.indexOf(kind)),
    Buffer.from(name, "utf8").subarray(0, NAME_KEY_BYTES_MAX),
  ]);
}

/**
 * Locations in one segment, relative to the first of them.
 *
 * @param events numbers of events, counted from position `base`
 * @param offsets where each event is in the segment, by its number
 */
export function encodeLocations(
  serial: number,
  base: number,
  events: readonly number[],
  offsets: readonly number[],
): Buffer {
  const first = events[0] as number;
  const value = Buffer.allocUnsafe(locationsBytes(events.length));
  positionKey(base + first).copy(value, 0);
  const view = viewOf(value);
  view.setUint32(8, serial);
  let at = 12;
  for (const event of events) {
    view.setUint32(at, event - first);
    view.setUint32(at + 4, offsets[event] as number);
    at += 8;
  }
  return value;
}

export const locationsBytes = (events: number): number => 12 + events * 8;

/** How many there are in what {@link encodeLocations} made. */
export const locationsIn = (value: Uint8Array): number => (value.length - 12) / 8;

/** {@link encodeLocations} of one event. */
export function putLocation(value: Buffer, view: DataView, serial: number, position: number, offset: number): void {
  putPosition(value, 0, position);
  view.setUint32(8, serial);
  view.setUint32(12, 0);
  view.setUint32(16, offset);
}

export function decodeLocations(value: Uint8Array): RecordLocation[] {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const first = numberOfKey(bytes, 0);
  const serial = bytes.readUInt32BE(8);
  const records: RecordLocation[] = [];
  for (let at = 12; at < bytes.length; at += 8) {
    records.push({ position: first + bytes.readUInt32BE(at), serial, offset: bytes.readUInt32BE(at + 4) });
  }
  return records;
}

/** The u64 that {@link positionKey} wrote. */
export function numberOfKey(key: Uint8Array, at: number): number {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  return bytes.readUIntBE(at, 6) * 2 ** 16 + bytes.readUInt16BE(at + 6);
}

/** The first key that does not begin with `prefix`. */
export function afterPrefix(prefix: Uint8Array): Buffer {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] === 255) continue;
    end[i] = (end[i] as number) + 1;
    return end.subarray(0, i + 1);
  }
  return Buffer.alloc(prefix.length + 1, 255);
}
