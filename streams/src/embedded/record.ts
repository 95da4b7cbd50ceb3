/**
 * The bytes of one record: a fixed header of 128 bytes, then the payload, padded to 8. Layout in FORMAT.md. Strings are
 * numbers of the dictionary; control records (flag 1) carry the names themselves and take no position of their own.
 */
import type { EventInput } from "@millrace/engine";
import type { Crc32c } from "./crc32c.ts";
import type { EventId } from "./event-id.ts";
import { alignUp, getU64, highWordOf, wordOf } from "./little-endian.ts";

export const RECORD_HEADER_BYTES = 128;
export const RECORD_ALIGN = 8;
export const FLAG_CONTROL = 1;
export const APPEND_RECORDS_MAX = 65_535;
const CRC_FROM = 8;
/** Offsets of fields within a record. */
export const EVENT_ID = 44;
export const CORRELATION = 60;
export const CAUSATION = 76;
export const ID_BYTES = 16;

/** What a record of this length takes, its padding included. */
export function recordBytes(length: number): number {
  return alignUp(length, RECORD_ALIGN);
}

/** What a record with a payload of this length takes, its padding included. */
export function recordBytesOf(payloadBytes: number): number {
  const length = RECORD_HEADER_BYTES + payloadBytes;
  // A bit operation takes 32 bits: of the padding they are enough, of the length they are not.
  return length + (-length & (RECORD_ALIGN - 1));
}

/** Dictionary numbers of an event's context. */
export interface ContextNumbers {
  principal: number;
  tenant: number;
  codeVersion: number;
  graph: number;
  node: number;
}

/** Where a record stands. */
export interface RecordPlace {
  position: number;
  /** Nanoseconds since 1970 need more than 53 bits: their lower and upper word. */
  timeLow: number;
  timeHigh: number;
  stream: number;
  revision: number;
  type: number;
  /** Of its append, control records counted. */
  index: number;
  size: number;
}

/** The bytes that records are written into, and the same as little-endian words. Records begin at multiples of 8. */
export interface RecordBuffer {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/** Writes an event with the id `id` at `at`, all but its checksum. The bytes up to the next multiple of 8 become zero. */
export function putEvent(
  { bytes, words }: RecordBuffer,
  at: number,
  id: EventId,
  { schemaVersion, context, payload }: EventInput,
  place: RecordPlace,
  numbers: ContextNumbers,
): void {
  const w = at >> 2;
  putPayload(bytes, words, at, payload);
  putPlace(words, w, place, payload.length);
  words[w + 11] = id.a;
  words[w + 12] = id.b;
  words[w + 13] = id.c;
  words[w + 14] = id.d;
  putId(words, w + 15, context.correlationId);
  putId(words, w + 19, context.causationId);
  words[w + 23] = numbers.principal;
  words[w + 24] = numbers.tenant;
  words[w + 25] = numbers.codeVersion;
  words[w + 26] = schemaVersion & 0xffff;
  words[w + 27] = numbers.graph;
  words[w + 28] = context.graphRevision;
  words[w + 29] = numbers.node;
  words[w + 30] = context.epoch;
  words[w + 31] = 0;
}

/** Writes a control record at `at`, all but its checksum. */
export function putControl({ bytes, words }: RecordBuffer, at: number, place: RecordPlace, payload: Uint8Array): void {
  putPayload(bytes, words, at, payload);
  bytes.fill(0, at, at + RECORD_HEADER_BYTES);
  putPlace(words, at >> 2, place, payload.length);
  words[(at >> 2) + 26] = FLAG_CONTROL << 16;
}

/** `w` is the record's first word. */
function putPlace(words: Int32Array, w: number, place: RecordPlace, payloadBytes: number): void {
  const { position, revision } = place;
  words[w] = RECORD_HEADER_BYTES + payloadBytes;
  words[w + 2] = position;
  words[w + 3] = highWordOf(position);
  words[w + 4] = place.timeLow;
  words[w + 5] = place.timeHigh;
  words[w + 6] = place.stream;
  words[w + 7] = revision;
  words[w + 8] = highWordOf(revision);
  words[w + 9] = place.type;
  words[w + 10] = place.index | (place.size << 16);
}

/** The last word first: what the payload does not fill of it is padding. */
function putPayload(bytes: Uint8Array, words: Int32Array, at: number, payload: Uint8Array): void {
  const end = (at + recordBytesOf(payload.length)) >> 2;
  words[end - 1] = 0;
  words[end - 2] = 0;
  bytes.set(payload, at + RECORD_HEADER_BYTES);
}

/** Writes the checksum of a record that is whole but for it, and returns it. */
export function putRecordCrc(view: DataView, at: number, length: number, crc: Crc32c): number {
  const checksum = crc(view, at + CRC_FROM, at + length);
  view.setUint32(at + 4, checksum, true);
  return checksum;
}

function putId(words: Int32Array, w: number, id: Uint8Array): void {
  words[w] = wordOf(id, 0);
  words[w + 1] = wordOf(id, 4);
  words[w + 2] = wordOf(id, 8);
  words[w + 3] = wordOf(id, 12);
}

/** Length of the record at `at` without padding; 0 when the bytes up to `end` cannot hold it. */
export function recordLengthAt(view: DataView, at: number, end: number): number {
  if (at + RECORD_HEADER_BYTES > end) return 0;
  const length = view.getUint32(at, true);
  return length >= RECORD_HEADER_BYTES && at + length <= end ? length : 0;
}

export function recordCrcHolds(view: DataView, at: number, length: number, crc: Crc32c): boolean {
  return view.getUint32(at + 4, true) === crc(view, at + CRC_FROM, at + length);
}

export function isControlAt(view: DataView, at: number): boolean {
  return (view.getUint16(at + 106, true) & FLAG_CONTROL) !== 0;
}

export function positionAt(view: DataView, at: number): number {
  return getU64(view, at + 8);
}

/** Whole milliseconds; what is below them is lost to the 53 bits of a number. */
export function timeMsAt(view: DataView, at: number): number {
  return Math.round((view.getUint32(at + 20, true) * 2 ** 32 + view.getUint32(at + 16, true)) / 1e6);
}

export function streamAt(view: DataView, at: number): number {
  return view.getUint32(at + 24, true);
}

export function revisionAt(view: DataView, at: number): number {
  return getU64(view, at + 28);
}

export function typeAt(view: DataView, at: number): number {
  return view.getUint32(at + 36, true);
}

export function indexInAppendAt(view: DataView, at: number): number {
  return view.getUint16(at + 40, true);
}

export function schemaVersionAt(view: DataView, at: number): number {
  return view.getUint16(at + 104, true);
}

export function graphAt(view: DataView, at: number): number {
  return view.getUint32(at + 108, true);
}

export function nodeAt(view: DataView, at: number): number {
  return view.getUint32(at + 116, true);
}
