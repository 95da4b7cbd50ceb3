/**
 * Group commit. Appends gather in one buffer while the block before is on its way to the disk; one synchronous block write is
 * in flight, the next is issued after its success, acknowledgements go out in order after it (L-R2). Any error of a block
 * write ends the writer (L-R6): after a failed sync the page cache shows bytes that the disk may not have.
 */
import { type DiskFile, type Env, invariant } from "@millrace/engine";
import { BLOCK_DATA, paddedBytes } from "./block.ts";
import type { BlockKernels, SegmentHash } from "./block-kernels.ts";
import type { Crc32c } from "./crc32c.ts";
import { hexOf } from "./little-endian.ts";
import type { SealedSegment } from "./manifest.ts";
import { OpenBlock } from "./open-block.ts";
import type { RulesOff } from "./rules.ts";
import { encodeSeal, sealBytes } from "./seal.ts";
import { writeFully } from "./segment-files.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-header.ts";
import type { PreparedSegment, SegmentPreparation } from "./segment-preparation.ts";
import type { BlockLocation } from "./tail-table.ts";

/** The segment that takes blocks now. */
export interface ActiveSegment {
  readonly serial: number;
  readonly path: string;
  readonly file: DiskFile;
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
  readonly firstPos: number;
  /** Where the next block goes. */
  offset: number;
  /** Blocks so far. */
  blocks: number;
  /** Over the file up to `offset`. */
  readonly hash: SegmentHash;
}

export interface WriterOptions {
  readonly env: Env;
  readonly crc: Crc32c;
  readonly kernels: BlockKernels;
  readonly rulesOff: RulesOff;
  readonly align: number;
  readonly bufferBytes: number;
  /** Kept free for seal and control records while no segment is prepared. */
  readonly reserveBytes: number;
  readonly epoch: number;
  readonly preparation: SegmentPreparation;
  /** Called when a block is durable, before its callers are told. */
  readonly onDurable: (block: BlockLocation) => void;
  /** Called when the open block has room again. */
  readonly onRoom: () => void;
  /** Called once, when a write failed. */
  readonly onFailure: (cause: unknown) => void;
}

export interface WriterStart {
  readonly active: ActiveSegment;
  /** Number of the next block. */
  readonly seq: number;
  /** Header checksum of the last block. */
  readonly prev: number;
  /** Position of the next event. */
  readonly position: number;
}

/** From here on a larger block gains the disk less than waiting for it costs. */
const EAGER_BYTES = 64 * 1024;
/** A write that takes longer costs more than encoding what would have joined it. */
const EAGER_WRITE_MS = 0.5;

export type Room = "fits" | "wait" | "full";

export class BlockWriter {
  readonly #options: WriterOptions;
  readonly #sealBytes: number;
  readonly #flightsMax: number;
  readonly #flush: () => void;
  #active: ActiveSegment;
  #seq: number;
  #prev: number;
  #open: OpenBlock;
  readonly #spare: OpenBlock[];
  readonly #flying: OpenBlock[] = [];
  #armed = false;
  /** Up to here the open block may grow without another look at its buffer, its segment and the next one. */
  #roomyTo = 0;
  #issuedMs = 0;
  #lastWriteMs = 0;
  #stopped = false;
  #idle: (() => void)[] = [];
  /** Bytes written to segments since the writer started. */
  writtenBytes = 0;

  constructor(options: WriterOptions, start: WriterStart) {
    this.#options = options;
    this.#active = start.active;
    this.#seq = start.seq;
    this.#prev = start.prev;
    this.#sealBytes = sealBytes(options.align);
    this.#flightsMax = options.rulesOff.has("L-R2") ? 2 : 1;
    // What fits such a buffer does so with its padding.
    const capacity = paddedBytes(options.bufferBytes, options.align);
    const blocks = Array.from({ length: this.#flightsMax + 1 }, () => new OpenBlock(capacity, options.kernels));
    this.#open = blocks.pop() as OpenBlock;
    this.#open.reset(start.position);
    this.#spare = blocks;
    this.#flush = () => {
      this.#armed = false;
      this.#issue();
    };
  }

  /** The block that takes appends; position of its next event is `first + count`. */
  get open(): OpenBlock {
    return this.#open;
  }

  get active(): ActiveSegment {
    return this.#active;
  }

  get prev(): number {
    return this.#prev;
  }

  get isBusy(): boolean {
    return this.#flying.length > 0 || !this.#open.isEmpty;
  }

  /** True when `bytes` more surely fit into the open block and its segment; else {@link room} knows. */
  hasRoom(bytes: number): boolean {
    return this.#open.used + bytes <= this.#roomyTo;
  }

  /** Whether an append of `bytes` can join the open block, must wait for the next one or for its segment, or meets a full disk. */
  room(bytes: number): Room {
    const { align, preparation, reserveBytes } = this.#options;
    if (!this.#open.fits(bytes, align)) return "wait";
    const needed = paddedBytes(this.#open.used + bytes, align);
    const left = this.#active.sizeBytes - this.#active.offset;
    if (needed + (preparation.isReady ? this.#sealBytes : reserveBytes) <= left) return "fits";
    if (!preparation.isReady) return preparation.failure === undefined ? "wait" : "full";
    return SEGMENT_HEADER_BYTES + needed + this.#sealBytes <= this.#active.sizeBytes ? "fits" : "wait";
  }

  /**
   * The open block goes out once pending I/O had its chance, so that everything of this turn joins it; or at once when it is
   * large and the disk is fast, so that the disk works while the rest of the turn is encoded. On a slow disk fewer and larger
   * writes are worth more.
   */
  arm(): void {
    if (this.#flying.length >= this.#flightsMax) return;
    if (this.#open.used >= EAGER_BYTES && this.#lastWriteMs < EAGER_WRITE_MS) this.#issue();
    if (this.#armed) return;
    this.#armed = true;
    this.#options.env.turns.yieldToIo(this.#flush);
  }

  /** Resolves when nothing is in flight or waiting to be. */
  settled(): Promise<void> {
    if (!this.isBusy || this.#stopped) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends the writer: blocks in flight have an unknown outcome, the open one was never written. */
  stop(unknown: (cause: unknown) => Error, refused: (cause: unknown) => Error, cause: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const block of this.#flying) for (const ack of block.acks) ack.reject(unknown(cause));
    for (const ack of this.#open.acks) ack.reject(refused(cause));
    for (const wake of this.#idle.splice(0)) wake();
  }

  #issue(): void {
    if (this.#stopped || this.#open.isEmpty || this.#flying.length >= this.#flightsMax) return;
    const block = this.#open;
    const bytes = paddedBytes(block.used, this.#options.align);
    const rolls = this.#active.offset + bytes + this.#sealBytes > this.#active.sizeBytes;
    if (rolls && this.#flying.length > 0) return;
    this.#flying.push(block);
    this.#open = this.#spare.pop() as OpenBlock;
    this.#open.reset(block.first + block.count);
    const sealed = rolls ? this.#roll(block.first) : undefined;
    this.#write(block, sealed);
    this.#options.onRoom();
  }

  /** Seals the active segment and moves to the prepared one; returns the write of the seal, which has to succeed first (L-R8). */
  #roll(endPos: number): Promise<void> {
    const { align, crc, epoch, kernels, preparation } = this.#options;
    const old = this.#active;
    const next = preparation.take();
    invariant(next !== undefined, "an append is admitted only when there is a segment for it");
    const sha256 = hexOf(old.hash.digest());
    const seal = { firstPos: old.firstPos, endPos, blocks: old.blocks, sha256 };
    const place = { salt: old.salt, seq: this.#seq, prev: this.#prev, epoch, align };
    const { bytes, headCrc } = encodeSeal(seal, place, crc);
    const entry: SealedSegment = {
      ...seal,
      sealHead: headCrc,
      sealOffset: old.offset,
      sealSeq: this.#seq,
      state: "sealed",
      archiveHash: null,
    };
    this.#seq++;
    this.#prev = headCrc;
    this.#active = activeFrom(next, endPos, kernels.segmentHash());
    return writeFully(old.file, bytes, old.offset, old.path).then(async () => {
      preparation.begin(next.serial + 1, (manifest) => ({
        ...manifest,
        segments: { ...manifest.segments, [String(old.serial)]: entry },
      }));
      await old.file.close();
    });
  }

  #write(block: OpenBlock, sealed: Promise<void> | undefined): void {
    const active = this.#active;
    const { align, epoch, rulesOff } = this.#options;
    const { bytes, headCrc } = block.seal(
      { salt: active.salt, seq: this.#seq++, prev: this.#prev, epoch, align },
      BLOCK_DATA,
    );
    const location: BlockLocation = {
      first: block.first,
      count: block.count,
      serial: active.serial,
      offset: active.offset,
      bytes: bytes.length,
      headCrc,
    };
    this.#prev = headCrc;
    active.offset += bytes.length;
    active.blocks++;
    this.writtenBytes += bytes.length;
    this.#roomyTo = Math.min(this.#open.bytes.length, active.sizeBytes - active.offset - this.#options.reserveBytes);
    this.#issuedMs = this.#options.env.clock.monotonic();
    const write = (): Promise<void> => writeFully(active.file, bytes, location.offset, active.path);
    const written = sealed === undefined || rulesOff.has("L-R8") ? write() : sealed.then(write);
    if (rulesOff.has("L-R21")) this.#options.onDurable(location);
    written.then(
      () => this.#finish(block, location),
      (cause: unknown) => this.#fail(block, location, active.file, cause),
    );
    // The disk is busy with the same bytes meanwhile, so the hash of the segment costs no latency.
    active.hash.update(bytes);
  }

  #finish(block: OpenBlock, location: BlockLocation): void {
    if (this.#stopped) return;
    this.#lastWriteMs = this.#options.env.clock.monotonic() - this.#issuedMs;
    this.#flying.splice(this.#flying.indexOf(block), 1);
    const acks = block.acks;
    block.acks = [];
    this.#spare.push(block);
    if (!this.#options.rulesOff.has("L-R21")) this.#options.onDurable(location);
    const isFast = this.#lastWriteMs < EAGER_WRITE_MS;
    if (isFast) this.#issue();
    for (const ack of acks) ack.resolve(ack.result);
    // On a slow disk those who have just been told join the next write, instead of taking turns with those who wait.
    if (!isFast && !this.#open.isEmpty) this.arm();
    if (!this.isBusy) for (const wake of this.#idle.splice(0)) wake();
  }

  #fail(block: OpenBlock, location: BlockLocation, file: DiskFile, cause: unknown): void {
    if (this.#stopped) return;
    if (this.#options.rulesOff.has("L-R6")) {
      file.sync().then(
        () => this.#finish(block, location),
        (again: unknown) => this.#options.onFailure(again),
      );
      return;
    }
    this.#options.onFailure(cause);
  }
}

/** The segment as it takes its first block, at position `firstPos`. */
function activeFrom(prepared: PreparedSegment, firstPos: number, hash: SegmentHash): ActiveSegment {
  hash.update(prepared.header);
  return {
    serial: prepared.serial,
    path: prepared.path,
    file: prepared.file,
    salt: prepared.salt,
    sizeBytes: prepared.sizeBytes,
    firstPos,
    offset: SEGMENT_HEADER_BYTES,
    blocks: 0,
    hash,
  };
}
