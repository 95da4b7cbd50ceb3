/**
 * A frame as bytes on the wire between hosts. The first byte is the version: both ends run the same, but a broker that keeps edges may
 * have frames from before an upgrade, so version 1 is still read.
 *
 * - `u8` version, 2; `u8` form of the body; the head ({@link writeHead})
 * - form 0: the rest is msgpack, an array of the batch, its positions, the dead and the late
 * - form 1, a few rows with scalars, at positions that follow on each other: the first position, then the rows ({@link writeShapedRows})
 */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { RowBatch } from "../frame/batch.ts";
import { ByteReader } from "../frame/byte-reader.ts";
import { NOWHERE, writeInteger } from "../frame/byte-writer.ts";
import { ROWS_MIN } from "../frame/columns-of.ts";
import { Frame } from "../frame/frame.ts";
import { Positions } from "../frame/positions.ts";
import { readShapedRows, writeShapedRows } from "../frame/shaped-rows.ts";
import { Slab } from "../frame/slab.ts";
import { packStateBehind, unpackState } from "../log/packed-payload.ts";
import { isDense, type PackedBody, packBody, unpackBody } from "./frame-body-codec.ts";
import { decodeFrame1 } from "./frame-codec-1.ts";
import { readHead, writeHead } from "./frame-head-codec.ts";
import { transportError } from "./transport-errors.ts";

const VERSION = 2;
const PACKED = 0;
const SHAPED = 1;

const slab = new Slab();
const reader = new ByteReader();

/** @throws MSG-SIZE a message is nested too deeply */
export function encodeFrame(frame: Frame): Uint8Array {
  const start = slab.begin();
  const { bytes } = slab;
  const headEnd = writeHead(bytes, start + 2, frame.head);
  const end = isFew(frame) ? writeFew(bytes, headEnd, frame) : NOWHERE;
  bytes[start] = VERSION;
  bytes[start + 1] = end === NOWHERE ? PACKED : SHAPED;
  if (end !== NOWHERE) return slab.taken(end);
  // Error reports are made of what msgpack can say.
  return packStateBehind(slab.written(headEnd), packBody(frame) as unknown as StateEvent);
}

/**
 * @param bornMs when the frame entered this host: the sender's clock means nothing here
 * @throws TRANSPORT-PROTOCOL
 */
export function decodeFrame(bytes: Uint8Array, bornMs: number): Frame {
  try {
    return bytes[0] === VERSION ? decodeFrame2(bytes, bornMs) : decodeFrame1(bytes, bornMs);
  } catch (cause) {
    throw transportError("TRANSPORT-PROTOCOL", "a frame cannot be read", { cause });
  }
}

/** Columns are for more rows, and stay what they are. */
function isFew({ batch, positions, dead, late }: Frame): boolean {
  if (batch.kind !== "rows" || batch.n === 0 || batch.n >= ROWS_MIN) return false;
  return dead.length === 0 && late.length === 0 && isDense(positions);
}

/** {@link NOWHERE} where the rows are not all of one shape. */
function writeFew(bytes: Buffer, at: number, { positions, batch }: Frame): number {
  return writeShapedRows(bytes, writeInteger(bytes, at, positions.pos(0)), batch.rows());
}

function decodeFrame2(bytes: Uint8Array, bornMs: number): Frame {
  reader.begin(bytes);
  reader.byte();
  const form = reader.byte();
  const head = readHead(reader, bornMs);
  if (form === PACKED) return unpackBody(head, unpackState(bytes, reader.at) as unknown as PackedBody);
  if (form !== SHAPED) throw new TypeError(`unknown form of frames ${form}`);
  const first = reader.integer();
  const rows = readShapedRows(reader);
  reader.end();
  return new Frame(head, new RowBatch(rows), Positions.dense(first, rows.length));
}
