/** The first 4 KiB of a segment file: which log and which place in it the file belongs to. Layout in FORMAT.md. */

import type { Crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { getU64, hexOf, putU64, viewOf } from "./little-endian.ts";

export const SEGMENT_HEADER_BYTES = 4096;
export const PAGE_SIZE_BYTES = 4096;
export const FORMAT_VERSION = 1;

const MAGIC = 0x4753524d; // "MRSG" read as little-endian u32
const CRC_AT = 48;

export interface SegmentHeader {
  /** 32 hex digits. */
  readonly logId: string;
  readonly serial: number;
  /** 8 random bytes, repeated in every block of the segment. */
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
}

export function encodeSegmentHeader(header: SegmentHeader, crc: Crc32c): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, FORMAT_VERSION, true);
  bytes.write(header.logId, 8, "hex");
  putU64(view, 24, header.serial);
  bytes.set(header.salt, 32);
  view.setUint32(40, header.sizeBytes, true);
  view.setUint32(44, PAGE_SIZE_BYTES, true);
  view.setUint32(CRC_AT, crc(view, 0, CRC_AT), true);
  return bytes;
}

/**
 * `undefined` when the bytes are no segment header.
 *
 * @throws LOG-SCHEMA when they are one of another format version
 */
export function decodeSegmentHeader(bytes: Uint8Array, crc: Crc32c, file?: string): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(CRC_AT, true) !== crc(view, 0, CRC_AT)) return undefined;
  const version = view.getUint16(4, true);
  if (version !== FORMAT_VERSION)
    throw embeddedLogError("LOG-SCHEMA", `segment format ${version} is not known`, {
      place: file === undefined ? undefined : { file },
    });
  return {
    logId: hexOf(bytes.subarray(8, 24)),
    serial: getU64(view, 24),
    salt: bytes.slice(32, 40),
    sizeBytes: view.getUint32(40, true),
  };
}
