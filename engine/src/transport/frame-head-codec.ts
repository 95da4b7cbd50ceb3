/**
 * Heads of frames on the wire: a byte of flags, then what they say is there. Integers as {@link ByteWriter} has them, those that
 * may be -1 by one more.
 */
import type { ByteReader } from "../frame/byte-reader.ts";
import type { ByteWriter } from "../frame/byte-writer.ts";
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

export function writeHead(writer: ByteWriter, head: FrameHead): void {
  const { path, generation, epoch, revision, from, to, watermark, exact, idle, mark, shed, trace } = head;
  const hasWatermark = watermark !== Number.NEGATIVE_INFINITY;
  writer.byte(
    (exact ? EXACT : 0) |
      (idle ? IDLE : 0) |
      (hasWatermark ? WATERMARK : 0) |
      (mark === null ? 0 : MARK) |
      (shed === 0 ? 0 : SHED) |
      (trace === null ? 0 : TRACE) |
      (from.ord === END ? FROM_END : 0) |
      (to.ord === END ? TO_END : 0),
  );
  writer.integer(path);
  writer.integer(generation);
  writer.integer(epoch + 1);
  writer.integer(revision);
  writePoint(writer, from);
  writePoint(writer, to);
  if (hasWatermark) writer.float(watermark);
  if (mark !== null) {
    writer.integer(mark.epoch + 1);
    writer.integer(mark.n);
  }
  if (shed !== 0) writer.integer(shed);
  if (trace !== null) {
    writer.copy(trace.causationId);
    writer.copy(trace.correlationId);
  }
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

function writePoint(writer: ByteWriter, { pos, ord }: Point): void {
  writer.integer(pos + 1);
  if (ord !== END) writer.integer(ord);
}

function readPoint(reader: ByteReader, isEnd: number): Point {
  return { pos: reader.integer() - 1, ord: isEnd ? END : reader.integer() };
}

function readTrace(reader: ByteReader): Trace {
  return { causationId: reader.copied(ID_BYTES), correlationId: reader.copied(ID_BYTES) };
}
