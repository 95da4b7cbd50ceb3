/**
 * Heads of frames on the wire: a byte of flags, then what they say is there. Integers as {@link writeInteger} has them, those that
 * may be -1 by one more.
 */
import type { ByteReader } from "../frame/byte-reader.ts";
import { writeBytes, writeInteger } from "../frame/byte-writer.ts";
import type { FrameHead, Trace } from "../frame/frame.ts";
import { END, type Point } from "../frame/point.ts";

const EXACT = 1;
const IDLE = 2;
/** Absent: there is none, `-Infinity`. */
const WATERMARK = 4;
const MARK = 8;
const SHED = 16;
const TRACE = 32;
/** The ordinal of a point is {@link END}. */
const FROM_END = 64;
const TO_END = 128;

const ID_BYTES = 16;

/** Where the next byte may be written: a head takes less than a hundred. */
export function writeHead(bytes: Buffer, start: number, head: FrameHead): number {
  const { path, generation, epoch, revision, from, to, watermark, exact, idle, mark, shed, trace } = head;
  const hasWatermark = watermark !== Number.NEGATIVE_INFINITY;
  bytes[start] =
    (exact ? EXACT : 0) |
    (idle ? IDLE : 0) |
    (hasWatermark ? WATERMARK : 0) |
    (mark === null ? 0 : MARK) |
    (shed === 0 ? 0 : SHED) |
    (trace === null ? 0 : TRACE) |
    (from.ord === END ? FROM_END : 0) |
    (to.ord === END ? TO_END : 0);
  let at = writeInteger(bytes, start + 1, path);
  at = writeInteger(bytes, at, generation);
  at = writeInteger(bytes, at, epoch + 1);
  at = writeInteger(bytes, at, revision);
  at = writePoint(bytes, at, from);
  at = writePoint(bytes, at, to);
  if (hasWatermark) at = bytes.writeDoubleLE(watermark, at);
  if (mark !== null) at = writeInteger(bytes, writeInteger(bytes, at, mark.epoch + 1), mark.n);
  if (shed !== 0) at = writeInteger(bytes, at, shed);
  if (trace !== null) at = writeBytes(bytes, writeBytes(bytes, at, trace.causationId), trace.correlationId);
  return at;
}

/** @throws RangeError */
export function readHead(reader: ByteReader, bornMs: number): FrameHead {
  const flags = reader.byte();
  return {
    path: reader.integer(),
    generation: reader.integer(),
    epoch: reader.integer() - 1,
    revision: reader.integer(),
    from: readPoint(reader, flags & FROM_END),
    to: readPoint(reader, flags & TO_END),
    watermark: flags & WATERMARK ? reader.float() : Number.NEGATIVE_INFINITY,
    exact: (flags & EXACT) !== 0,
    idle: (flags & IDLE) !== 0,
    mark: flags & MARK ? { epoch: reader.integer() - 1, n: reader.integer() } : null,
    shed: flags & SHED ? reader.integer() : 0,
    trace: flags & TRACE ? readTrace(reader) : null,
    bornMs,
  };
}

function writePoint(bytes: Buffer, start: number, { pos, ord }: Point): number {
  const at = writeInteger(bytes, start, pos + 1);
  return ord === END ? at : writeInteger(bytes, at, ord);
}

function readPoint(reader: ByteReader, isEnd: number): Point {
  return { pos: reader.integer() - 1, ord: isEnd ? END : reader.integer() };
}

function readTrace(reader: ByteReader): Trace {
  return { causationId: reader.copied(ID_BYTES), correlationId: reader.copied(ID_BYTES) };
}
