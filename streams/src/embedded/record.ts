/**
 * The bytes of one record: a fixed header of 128 bytes, then the payload, padded to 8. Layout in FORMAT.md. Strings are
 * numbers of the dictionary; control records (flag 1) carry the names themselves and take no position of their own.
 */
import type { EventInput } from "@millrace/engine";
import type { Crc32c } from "./crc32c.ts";
import { alignUp, getU64, putU64 } from "./little-endian.ts";

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
const NANOS_PER_MS = 1_000_000n;

/** What a record of this length takes, its padding included. */
export function recordBytes(length: number): number {
  return alignUp(length, RECORD_ALIGN);
}

/** What a record with a payload of this length takes, its padding included. */
export function recordBytesOf(payloadBytes: number): number {
  return recordBytes(RECORD_HEADER_BYTES + payloadBytes);
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
  /** Milliseconds since 1970. */
  timeMs: number;
  stream: number;
  revision: number;
  type: number;
  /** Of its append, control records counted. */
  index: number;
  size: number;
}

/** Writes an event at `at`, all but its checksum. The bytes up to the next multiple of 8 become zero. */
export function putEvent(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  event: EventInput,
  place: RecordPlace,
  numbers: ContextNumbers,
): void {
  const context = event.context;
  putPlace(view, at, place, event.payload.length);
  putId(bytes, at + EVENT_ID, event.id);
  putId(bytes, at + CORRELATION, context.correlationId);
  putId(bytes, at + CAUSATION, context.causationId);
  view.setUint32(at + 92, numbers.principal, true);
  view.setUint32(at + 96, numbers.tenant, true);
  view.setUint32(at + 100, numbers.codeVersion, true);
  view.setUint16(at + 104, event.schemaVersion, true);
  view.setUint16(at + 106, 0, true);
  view.setUint32(at + 108, numbers.graph, true);
  view.setUint32(at + 112, context.graphRevision, true);
  view.setUint32(at + 116, numbers.node, true);
  view.setUint32(at + 120, context.epoch, true);
  view.setUint32(at + 124, 0, true);
  putPayload(bytes, at, event.payload);
}

/** Writes a control record at `at`, all but its checksum. */
export function putControl(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  place: RecordPlace,
  payload: Uint8Array,
): void {
  bytes.fill(0, at, at + RECORD_HEADER_BYTES);
  putPlace(view, at, place, payload.length);
  view.setUint16(at + 106, FLAG_CONTROL, true);
  putPayload(bytes, at, payload);
}

function putPlace(view: DataView, at: number, place: RecordPlace, payloadBytes: number): void {
  view.setUint32(at, RECORD_HEADER_BYTES + payloadBytes, true);
  putU64(view, at + 8, place.position);
  putTime(view, at + 16, place.timeMs);
  view.setUint32(at + 24, place.stream, true);
  putU64(view, at + 28, place.revision);
  view.setUint32(at + 36, place.type, true);
  view.setUint16(at + 40, place.index, true);
  view.setUint16(at + 42, place.size, true);
}

function putPayload(bytes: Uint8Array, at: number, payload: Uint8Array): void {
  bytes.set(payload, at + RECORD_HEADER_BYTES);
  for (let pad = at + RECORD_HEADER_BYTES + payload.length; pad % RECORD_ALIGN !== 0; pad++) bytes[pad] = 0;
}

/** Writes the checksum of a record that is whole but for it, and returns it. */
export function putRecordCrc(view: DataView, at: number, length: number, crc: Crc32c): number {
  const checksum = crc(view, at + CRC_FROM, at + length);
  view.setUint32(at + 4, checksum, true);
  return checksum;
}

function putId(bytes: Uint8Array, at: number, id: Uint8Array): void {
  for (let i = 0; i < ID_BYTES; i++) bytes[at + i] = id[i] as number;
}

let cachedTimeMs = -1;
let cachedTimeLow = 0;
let cachedTimeHigh = 0;

/** Nanoseconds need more than 53 bits; the halves are computed once per millisecond. */
function putTime(view: DataView, at: number, timeMs: number): void {
  if (timeMs !== cachedTimeMs) {
    const nanos = BigInt(timeMs) * NANOS_PER_MS;
    cachedTimeLow = Number(nanos & 0xffff_ffffn);
    cachedTimeHigh = Number(nanos >> 32n);
    cachedTimeMs = timeMs;
  }
  view.setUint32(at, cachedTimeLow, true);
  view.setUint32(at + 4, cachedTimeHigh, true);
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
