/**
 * Reads blocks in the order of the files, a mebibyte at a time, one read ahead of its consumer. It stops at the given position, which is
 * never beyond the durable end, so it never looks at bytes that may still be in flight (L-R21).
 */
import { BLOCK_HEADER_BYTES, BLOCK_SEAL, type BlockHeader, getBlockHeader, paddedBytes } from "./block.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import type { Crc32c } from "./crc32c.ts";
import { embeddedLogError } from "./errors.ts";
import { viewOf } from "./little-endian.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import type { SegmentSource } from "./segment-readers.ts";

/** A block within bytes that were read. */
export interface ScannedBlock {
  readonly header: BlockHeader;
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Of the block in `bytes`. */
  readonly at: number;
  readonly serial: number;
  /** Of the block in its file. */
  readonly offset: number;
}

export interface FilePlace {
  readonly serial: number;
  readonly offset: number;
}

interface Chunk {
  readonly blocks: readonly ScannedBlock[];
  /** Where the next chunk begins; `undefined` after the end. */
  readonly next: FilePlace | undefined;
}

export class BlockScanner {
  readonly #files: SegmentSource;
  readonly #crc: Crc32c;
  readonly #align: number;
  readonly #sizeBytes: number;

  constructor(files: SegmentSource, crc: Crc32c, align: number, segmentBytes: number) {
    this.#files = files;
    this.#crc = crc;
    this.#align = align;
    this.#sizeBytes = segmentBytes;
  }

  /**
   * Blocks from a block's place on, until one that ends at `end` or beyond it.
   *
   * @param buffers to read into, by one scan at a time: the blocks are then valid until the next are asked for
   * @param until where the block that ends at `end` does in its file, when that is known: nothing behind it is read
   */
  async *blocks(
    from: FilePlace,
    end: number,
    buffers?: ChunkBuffers,
    until?: FilePlace,
  ): AsyncGenerator<readonly ScannedBlock[]> {
    let pending: Promise<Chunk> | undefined = this.#chunk(from, end, buffers, until);
    try {
      while (pending !== undefined) {
        const chunk: Chunk = await pending;
        pending = chunk.next === undefined ? undefined : this.#chunk(chunk.next, end, buffers, until);
        // A consumer that stops early leaves the read ahead behind; its failure is nobody's.
        pending?.catch(() => undefined);
        if (chunk.blocks.length > 0) yield chunk.blocks;
      }
    } finally {
      if (pending !== undefined) buffers?.forget();
    }
  }

  /** One block. @throws LOG-CORRUPT when there is none */
  async block(place: FilePlace): Promise<ScannedBlock> {
    const block = (await this.#chunk(place, 0)).blocks[0];
    if (block === undefined) throw this.#corrupt(place, "there is a seal where a block should be");
    return block;
  }

  async #chunk(
    from: FilePlace,
    end: number,
    buffers: ChunkBuffers = new ChunkBuffers(),
    until?: FilePlace,
  ): Promise<Chunk> {
    if (from.offset >= this.#sizeBytes)
      return { blocks: [], next: { serial: from.serial + 1, offset: SEGMENT_HEADER_BYTES } };
    buffers.turn();
    const wanted = until?.serial === from.serial ? until.offset - from.offset : buffers.chunkBytes;
    let bytes = await this.#read(from, Math.min(wanted, buffers.chunkBytes), buffers);
    const first = this.#headerAt(bytes, 0, from);
    const firstBytes = paddedBytes(first.bytes, this.#align);
    if (firstBytes > bytes.length) bytes = await this.#read(from, firstBytes, buffers);
    const view = viewOf(bytes);
    const blocks: ScannedBlock[] = [];
    let at = 0;
    while (at + BLOCK_HEADER_BYTES <= bytes.length) {
      const place = { serial: from.serial, offset: from.offset + at };
      const header = at === 0 ? first : getBlockHeader(bytes, at, this.#crc);
      // What lies before the damage is given first; the next chunk begins with it and is refused.
      if (header === undefined) break;
      if (header.kind === BLOCK_SEAL)
        return { blocks, next: { serial: from.serial + 1, offset: SEGMENT_HEADER_BYTES } };
      const padded = paddedBytes(header.bytes, this.#align);
      if (at + padded > bytes.length) break;
      blocks.push({ header, bytes, view, at, ...place });
      at += padded;
      if (header.first + header.count >= end) return { blocks, next: undefined };
    }
    return { blocks, next: { serial: from.serial, offset: from.offset + at } };
  }

  async #read(from: FilePlace, length: number, buffers: ChunkBuffers): Promise<Buffer> {
    const bytes = buffers.bytes(Math.min(length, this.#sizeBytes - from.offset));
    await this.#files.read(from.serial, bytes, from.offset);
    return bytes;
  }

  #headerAt(bytes: Buffer, at: number, place: FilePlace): BlockHeader {
    const header = getBlockHeader(bytes, at, this.#crc);
    if (header === undefined) throw this.#corrupt(place, "there is no block where one should be");
    return header;
  }

  #corrupt(place: FilePlace, why: string): Error {
    return embeddedLogError("LOG-CORRUPT", why, {
      place: { file: this.#files.pathOf(place.serial) },
      details: { offset: place.offset },
    });
  }
}
