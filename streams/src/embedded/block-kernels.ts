/**
 * What costs the log most per byte, one call per block, so that a faster implementation can take its place: the addon's do the
 * same with the checksum instruction of the processor.
 */
import { createHash } from "node:crypto";
import { loadZstd, type Zstd } from "../compression/zstd.ts";
import { BLOCK_HEADER_BYTES, countZeroSectors, PADDING, paddedBytes, putBlockHeader, SECTOR_BYTES } from "./block.ts";
import { type Crc32c, crc32cOfPair } from "./crc32c.ts";
import { viewOf } from "./little-endian.ts";
import { putRecordCrc, recordBytes, recordCrcHolds, recordLengthAt } from "./record.ts";

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

export interface BlockKernels {
  /**
   * Completes a block whose records have everything but their checksums: writes these in `bytes[64, used)`, the padding up to a
   * multiple of `align`, and the header. Returns the header's checksum.
   */
  sealBlock(bytes: Uint8Array, used: number, align: number, fields: BlockFields): number;
  /** Where the first record of `bytes[from, to)` begins that is not whole or whose checksum does not hold; -1 when there is none. */
  checkRecords(bytes: Uint8Array, from: number, to: number): number;
  segmentHash(): SegmentHash;
  /** What archives of segments are packed with; loaded when it is first asked for. */
  zstd(): Promise<Zstd>;
}

/** What stored records are read with, wherever they are. */
export type ReadingKernels = Pick<BlockKernels, "checkRecords" | "zstd">;

/** SHA-256 of a segment, fed as it grows. */
export interface SegmentHash {
  update(bytes: Uint8Array): unknown;
  /** Of all that came; asked for once. */
  digest(): Uint8Array;
  /** In place of `digest`, when nobody will ask for it: what the hash has beside this thread ends. */
  discard(): void;
}

/** In TypeScript and WebAssembly. */
export function blockKernels(crc: Crc32c): BlockKernels {
  return {
    sealBlock(bytes, used, align, fields) {
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
    },
    checkRecords(bytes, from, to) {
      const view = viewOf(bytes);
      for (let at = from; at < to; ) {
        const length = recordLengthAt(view, at, to);
        if (length === 0 || !recordCrcHolds(view, at, length, crc)) return at;
        at += recordBytes(length);
      }
      return -1;
    },
    segmentHash() {
      const hash = createHash("sha256");
      return { update: (bytes) => hash.update(bytes), digest: () => hash.digest(), discard: () => undefined };
    },
    zstd: loadZstd,
  };
}
