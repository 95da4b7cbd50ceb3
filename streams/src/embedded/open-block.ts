/**
 * The block that takes appends while the one before is on its way to the disk: records are encoded straight into a buffer
 * that is allocated once, so a commit copies each payload once and makes no garbage.
 */
import type { AppendResult, EventInput } from "@millrace/engine";
import { BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, paddedBytes } from "./block.ts";
import type { BlockKernels } from "./block-kernels.ts";
import type { EventId } from "./event-id.ts";
import { wordsOf } from "./little-endian.ts";
import { type ContextNumbers, putControl, putEvent, type RecordPlace, recordBytesOf } from "./record.ts";

/** Whom to tell when the block is durable, or why it never will be. */
export interface Ack {
  readonly result: AppendResult;
  resolve(result: AppendResult): void;
  reject(error: Error): void;
}

/** What the writer knows about where the block goes. */
export interface BlockPlace {
  readonly salt: Uint8Array;
  readonly seq: number;
  readonly prev: number;
  readonly epoch: number;
  readonly align: number;
}

export class OpenBlock {
  bytes: Buffer;
  words: Int32Array;
  /** Bytes before the padding, header included. */
  used: number = BLOCK_HEADER_BYTES;
  /** Position of the first event. */
  first = 0;
  count = 0;
  acks: Ack[] = [];
  readonly #kernels: BlockKernels;

  /** @param capacityBytes at first; a multiple of what blocks are padded to */
  constructor(capacityBytes: number, kernels: BlockKernels) {
    this.bytes = Buffer.allocUnsafeSlow(capacityBytes);
    this.words = wordsOf(this.bytes);
    this.#kernels = kernels;
  }

  get isEmpty(): boolean {
    return this.used === BLOCK_HEADER_BYTES;
  }

  /** True when `bytes` more fit without growing; an empty block grows up to the largest. */
  fits(bytes: number, align: number): boolean {
    if (paddedBytes(this.used + bytes, align) <= this.bytes.length) return true;
    if (!this.isEmpty || paddedBytes(this.used + bytes, align) > BLOCK_BYTES_MAX) return false;
    this.bytes = Buffer.allocUnsafeSlow(paddedBytes(this.used + bytes, align));
    this.words = wordsOf(this.bytes);
    return true;
  }

  /** Empties the block; its next event will be at `first`. */
  reset(first: number): void {
    this.first = first;
    this.used = BLOCK_HEADER_BYTES;
    this.count = 0;
    this.acks = [];
  }

  addEvent(id: EventId, event: EventInput, place: RecordPlace, numbers: ContextNumbers): void {
    putEvent(this, this.used, id, event, place, numbers);
    this.used += recordBytesOf(event.payload.length);
    this.count++;
  }

  addControl(place: RecordPlace, payload: Uint8Array): void {
    putControl(this, this.used, place, payload);
    this.used += recordBytesOf(payload.length);
  }

  /** Completes checksums, padding and header, and returns the bytes to write and the header's checksum. */
  seal(place: BlockPlace, kind: number): { readonly bytes: Buffer; readonly headCrc: number } {
    const fields = { ...place, first: this.first, count: this.count, kind };
    const headCrc = this.#kernels.sealBlock(this.bytes, this.used, place.align, fields);
    return { bytes: this.bytes.subarray(0, paddedBytes(this.used, place.align)), headCrc };
  }
}
