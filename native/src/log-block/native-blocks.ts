/**
 * What the addon does for the blocks of the embedded log (format: streams/src/embedded/FORMAT.md): checksums by hardware, all
 * records of a block in one call, and the write of a block off the JS thread. The bytes are those of the TypeScript
 * implementation.
 */
import { getSystemErrorName } from "node:util";
import { loadAddon } from "../addon.ts";

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
   * CRC-32C of bytes `[from, to)` of `view`, continuing `seed`. A call costs as much as some hundred bytes in
   * TypeScript, so it is for large ranges.
   *
   * @throws Error the range is not within the view
   */
  crc32c(view: DataView, from: number, to: number, seed?: number): number;
  /**
   * Where the first record of `bytes[from, to)` begins that is not whole or whose checksum does not hold; -1 when there is
   * none.
   *
   * @throws Error the range is not within the bytes
   */
  checkRecords(bytes: Uint8Array, from: number, to: number): number;
  /**
   * Writes the checksum of every record in `buffer[64, used)`, whose records are whole but for it, and returns the checksum
   * of the body (`bodyCrc`: over their pairs of length and checksum). Pads between records must be zero already.
   *
   * @throws Error what stands there is no sequence of records; some checksums may have been written
   */
  finishBlock(buffer: Uint8Array, used: number): number;
  /**
   * {@link finishBlock}, then the padding up to a multiple of `align`, a multiple of 512, and the header. Returns the
   * header's checksum.
   *
   * @throws Error as `finishBlock`; or the padded block does not fit the buffer
   */
  sealBlock(buffer: Uint8Array, used: number, align: number, header: NativeBlockHeader): number;
  /**
   * Writes `buffer[0, length)` at `offset` of the open file, on a thread of its own, and resolves after the write returned:
   * with a file opened O_DSYNC the bytes are then on the disk. Short and interrupted writes go on. The buffer must not
   * change and the file must stay open until then.
   *
   * Rejects with the system's error (`code`, `errno`, `syscall`); how much was written is then unknown.
   */
  commitBlock(fd: number, buffer: Uint8Array, length: number, offset: number): Promise<void>;
}

/** `undefined` without the addon. */
export function nativeBlocks(): NativeBlocks | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return {
    crc32c: (view, from, to, seed = 0) => addon.crc32c(view, from, to, seed),
    checkRecords: (bytes, from, to) => addon.checkRecords(bytes, from, to),
    finishBlock: (buffer, used) => addon.finishBlock(buffer, used),
    sealBlock: (buffer, used, align, { salt, seq, first, count, prev, epoch, kind }) =>
      addon.sealBlock(buffer, used, align, salt, seq, first, count, prev, epoch, kind),
    async commitBlock(fd, buffer, length, offset) {
      const errno = await addon.writeBlock(fd, buffer, length, offset);
      if (errno !== 0) throw writeError(errno);
    },
  };
}

function writeError(errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${code}: write`), { code, errno: -errno, syscall: "write" });
}
