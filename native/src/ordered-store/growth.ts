/**
 * How much a transaction may make the file grow. A commit of LMDB that finds the disk full can leave its free list in a state
 * in which the next commit corrupts the heap (lmdb 3.5.6), so a store must refuse before that: it bounds from above what a
 * commit writes and compares it with the free space of the disk.
 */
import { statfsSync } from "node:fs";

const PAGE_BYTES = 4096;
/** Larger values leave the leaf for pages of their own. */
const INLINE_BYTES_MAX = 2000;
/** Meta pages, branches and the free list. */
const MARGIN_BYTES = 128 * 1024;

export class Growth {
  #writes = 0;
  #bytes = 0;
  #pages = 0;

  put(keyBytes: number, valueBytes: number): void {
    this.#writes += 1;
    this.#bytes += keyBytes + valueBytes;
    if (valueBytes > INLINE_BYTES_MAX) this.#pages += 1 + Math.ceil(valueBytes / PAGE_BYTES);
  }

  delete(): void {
    this.#writes += 1;
  }

  /** Bytes that were put since the start. */
  get putBytes(): number {
    return this.#bytes;
  }

  /**
   * Every write copies a leaf and may split it; but no more pages are copied than the file has, and none is left less than
   * half full. `fileBytes` is asked for only if the first bound is not enough.
   */
  fits(freeBytes: number, fileBytes: () => number): boolean {
    const rest = freeBytes - MARGIN_BYTES - this.#pages * PAGE_BYTES;
    if (this.#writes * 2 * PAGE_BYTES <= rest) return true;
    return fileBytes() + 2 * this.#bytes <= rest;
  }
}

/** Bytes that an ordinary user may still write to the disk of `dir`. */
export function freeBytes(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}
