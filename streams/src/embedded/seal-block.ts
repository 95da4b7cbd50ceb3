/**
 * Completes a block whose records have everything but their checksums. All of them are computed in one pass when the block goes
 * out, so that a faster implementation pays for one call per block; the results are the same.
 */
import { BLOCK_HEADER_BYTES, countZeroSectors, PADDING, paddedBytes, putBlockHeader, SECTOR_BYTES } from "./block.ts";
import { type Crc32c, crc32cOfPair } from "./crc32c.ts";
import { viewOf } from "./little-endian.ts";
import { putRecordCrc, recordBytes } from "./record.ts";

/** What a block's header says beside what is computed from its records. */
export interface BlockFields {
  /** The segment's. */
  readonly salt: Uint8Array;
  readonly seq: number;
  /** Position of the first event. */
  readonly first: number;
  /** Events in the block. */
  readonly count: number;
  /** Header checksum of the block before. */
  readonly prev: number;
  readonly epoch: number;
  readonly kind: number;
}

/**
 * Writes the checksum of every record in `bytes[64, used)`, the padding up to a multiple of `align`, and the header. Returns the
 * header's checksum.
 */
export type SealBlock = (bytes: Uint8Array, used: number, align: number, fields: BlockFields) => number;

/** In TypeScript. */
export function sealBlockWith(crc: Crc32c): SealBlock {
  return (bytes, used, align, fields) => {
    const view = viewOf(bytes);
    let bodyCrc = 0;
    for (let at = BLOCK_HEADER_BYTES; at < used; ) {
      const length = view.getUint32(at, true);
      bodyCrc = crc32cOfPair(length, putRecordCrc(view, at, length, crc), bodyCrc);
      at += recordBytes(length);
    }
    const end = paddedBytes(used, align);
    bytes.fill(PADDING, used, end);
    const zeros = countZeroSectors(bytes, SECTOR_BYTES, end);
    return putBlockHeader(bytes, { ...fields, bytes: used, bodyCrc, zeros }, crc);
  };
}
