/**
 * What the addon does for the blocks of the embedded log (format: streams/src/embedded/FORMAT.md): checksums by hardware, all
 * records of a block in one call; the hash of a segment beside the thread that appends. The bytes are those of the TypeScript
 * implementation.
 */
import { loadAddon, type SegmentHash } from "../addon.ts";
import { type NativeZstd, nativeZstd } from "../compression/native-zstd.ts";

export interface NativeBlockHeader {
  /** Of the segment, 8 bytes. */
  readonly salt: Uint8Array;
  readonly seq: number;
  /** Position of the first event. */
  readonly first: number;
  /** Events in the block. */
  readonly count: number;
  /** Header checksum of the block before. */
  readonly prev: number;
  readonly epoch: number;
  /** 0 data, 1 seal, 2 control. */
  readonly kind: number;
}

export interface NativeBlocks {
  /**
   * Where the first record of `bytes[from, to)` begins that is not whole or whose checksum does not hold; -1 when there is
   * none.
   *
   * @throws Error the range is not within the bytes
   */
  checkRecords(bytes: Uint8Array, from: number, to: number): number;
  /**
   * Completes a block whose records in `buffer[64, used)` are whole but for their checksums: writes these, the padding up to
   * a multiple of `align`, a multiple of 512, and the header. Pads between records must be zero already. Returns the
   * header's checksum.
   *
   * @throws Error what stands there is no sequence of records, of which some checksums may have been written; or the padded
   * block does not fit the buffer
   */
  sealBlock(buffer: Uint8Array, used: number, align: number, header: NativeBlockHeader): number;
  /** SHA-256 of a segment, computed in a thread of its own: what is fed is copied and may change at once. */
  segmentHash(): SegmentHash;
  /** What archives of segments are packed with. */
  zstd(): Promise<NativeZstd>;
}

/** `undefined` without the addon. */
export function nativeBlocks(): NativeBlocks | undefined {
  const addon = loadAddon();
  const zstd = nativeZstd();
  if (addon === undefined || zstd === undefined) return undefined;
  return {
    checkRecords: (bytes, from, to) => addon.checkRecords(bytes, from, to),
    sealBlock: (buffer, used, align, { salt, seq, first, count, prev, epoch, kind }) =>
      addon.sealBlock(buffer, used, align, salt, seq, first, count, prev, epoch, kind),
    segmentHash: () => new addon.SegmentHash(),
    zstd: async () => zstd,
  };
}
