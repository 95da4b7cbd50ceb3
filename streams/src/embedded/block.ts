/**
 * A block: what one write makes durable, whole appends of many callers behind one header. Layout in FORMAT.md.
 *
 * `zeros` counts the sectors of the block that are zero by right. After a crash a block with more zero sectors was never
 * finished; one with the right number whose checksums fail was finished and damaged (L-R11).
 */
import type { Crc32c } from "./crc32c.ts";
import { alignUp, getU64, putU64, viewOf } from "./little-endian.ts";

export const BLOCK_HEADER_BYTES = 64;
export const SECTOR_BYTES = 512;
export const PADDING = 0xa5;
/** Largest block, header and padding included. */
export const BLOCK_BYTES_MAX: number = 16 * 1024 * 1024;

const MAGIC = 0x4c42524d; // "MRBL" read as little-endian u32
const CRC_FROM = 8;

export const BLOCK_DATA = 0;
export const BLOCK_SEAL = 1;

export interface BlockHeader {
  /** The segment's. */
  readonly salt: Uint8Array;
  /** Dense number of the block in the whole log. */
  readonly seq: number;
  /** Position of the first event. */
  readonly first: number;
  /** Events in the block; control records take no position and do not count. */
  readonly count: number;
  /** Bytes before the padding, header included. */
  readonly bytes: number;
  /** Checksum over the (length, checksum) pairs of all records. */
  readonly bodyCrc: number;
  /** Header checksum of the block before: the chain. */
  readonly prev: number;
  readonly epoch: number;
  readonly zeros: number;
  readonly kind: number;
  /** This block's own header checksum. */
  readonly headCrc: number;
}

/** Writes the header into the first 64 bytes of `block` and returns its checksum. */
export function putBlockHeader(block: Uint8Array, header: Omit<BlockHeader, "headCrc">, crc: Crc32c): number {
  const view = viewOf(block);
  view.setUint32(0, MAGIC, true);
  block.set(header.salt, 8);
  putU64(view, 16, header.seq);
  putU64(view, 24, header.first);
  view.setUint32(32, header.count, true);
  view.setUint32(36, header.bytes, true);
  view.setUint32(40, header.bodyCrc, true);
  view.setUint32(44, header.prev, true);
  view.setUint32(48, header.epoch, true);
  view.setUint32(52, header.zeros, true);
  view.setUint16(56, header.kind, true);
  view.setUint16(58, 0, true);
  view.setUint32(60, 0, true);
  const headCrc = crc(view, CRC_FROM, BLOCK_HEADER_BYTES);
  view.setUint32(4, headCrc, true);
  return headCrc;
}

/** `undefined` when there is no block header at `at` whose checksum holds. */
export function getBlockHeader(bytes: Uint8Array, at: number, crc: Crc32c): BlockHeader | undefined {
  if (bytes.length < at + BLOCK_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BLOCK_HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  const headCrc = view.getUint32(4, true);
  if (headCrc !== crc(view, CRC_FROM, BLOCK_HEADER_BYTES)) return undefined;
  return {
    salt: bytes.subarray(at + 8, at + 16),
    seq: getU64(view, 16),
    first: getU64(view, 24),
    count: view.getUint32(32, true),
    bytes: view.getUint32(36, true),
    bodyCrc: view.getUint32(40, true),
    prev: view.getUint32(44, true),
    epoch: view.getUint32(48, true),
    zeros: view.getUint32(52, true),
    kind: view.getUint16(56, true),
    headCrc,
  };
}

/** Bytes that a block takes in its file. */
export function paddedBytes(bytes: number, align: number): number {
  return alignUp(bytes, align);
}

/** Whole sectors of `bytes[from, to)` that are all zero; both ends are multiples of 512. */
export function countZeroSectors(bytes: Uint8Array, from: number, to: number): number {
  let zeros = 0;
  for (let at = from; at < to; at += SECTOR_BYTES) if (isZero(bytes, at, at + SECTOR_BYTES)) zeros++;
  return zeros;
}

const EIGHT_KIB_OF_ZEROS = Buffer.alloc(8192);

export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  if (to <= from) return true;
  if (bytes[from] !== 0 || bytes[to - 1] !== 0) return false;
  for (let at = from; at < to; at += EIGHT_KIB_OF_ZEROS.length) {
    const length = Math.min(EIGHT_KIB_OF_ZEROS.length, to - at);
    if (EIGHT_KIB_OF_ZEROS.compare(bytes, at, at + length, 0, length) !== 0) return false;
  }
  return true;
}
