/**
 * The part of the log that the index does not hold yet, by position: where each event is, and which event of the same stream
 * came before it. Appends in flight are in it too, beyond the durable end. Two typed arrays used as rings: 12 bytes an event.
 */
import { TailTags } from "./tail-tags.ts";

/** Where a block stands in the files. */
export interface BlockLocation {
  readonly first: number;
  readonly count: number;
  readonly serial: number;
  /** Of the block in its file. */
  readonly offset: number;
  /** In the file, padding included. */
  readonly bytes: number;
  readonly headCrc: number;
}

export interface RecordLocation {
  readonly position: number;
  readonly serial: number;
  readonly offset: number;
}

const FIRST_CAPACITY = 4096;

export class TailTable {
  /** First position that is in the table; everything below is in the index. */
  base: number;
  /** Position after the last event, durable or not. */
  end: number;
  /** Durable blocks at and above `base`, in order. */
  blocks: BlockLocation[] = [];
  readonly tags: TailTags;
  #previous: Float64Array = new Float64Array(FIRST_CAPACITY);
  #offset: Uint32Array = new Uint32Array(FIRST_CAPACITY);
  #mask = FIRST_CAPACITY - 1;

  constructor(base: number) {
    this.base = base;
    this.end = base;
    this.tags = new TailTags(base);
  }

  get size(): number {
    return this.end - this.base;
  }

  /** Adds the next event. `previous` is the stream's event before it, -1 when the table has none. */
  add(previous: number, offsetInBlock: number, tags: readonly string[]): void {
    if (this.size > this.#mask) this.#grow();
    this.tags.add(this.end, tags);
    const slot = this.end++ & this.#mask;
    this.#previous[slot] = previous;
    this.#offset[slot] = offsetInBlock;
  }

  addBlock(block: BlockLocation): void {
    this.blocks.push(block);
  }

  /** The stream's event before `position`, -1 when it is not in the table. */
  previousOf(position: number): number {
    const previous = this.#previous[position & this.#mask] as number;
    return previous >= this.base ? previous : -1;
  }

  /** Of a durable event. */
  locate(position: number): RecordLocation | undefined {
    const block = this.blockAt(position);
    if (block === undefined) return undefined;
    return { position, serial: block.serial, offset: block.offset + (this.#offset[position & this.#mask] as number) };
  }

  /** The durable block that holds `position`. */
  blockAt(position: number): BlockLocation | undefined {
    let low = 0;
    let high = this.blocks.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const block = this.blocks[middle] as BlockLocation;
      if (position < block.first) high = middle - 1;
      else if (position >= block.first + block.count) low = middle + 1;
      else return block;
    }
    return undefined;
  }

  /** Forgets everything below `position`, the end of a block: the index has it. */
  release(position: number): void {
    let gone = 0;
    while (gone < this.blocks.length && (this.blocks[gone] as BlockLocation).first < position) gone++;
    this.blocks = this.blocks.slice(gone);
    this.base = Math.max(this.base, position);
    this.tags.release(position);
  }

  #grow(): void {
    const capacity = (this.#mask + 1) * 2;
    const previous = new Float64Array(capacity);
    const offset = new Uint32Array(capacity);
    for (let position = this.base; position < this.end; position++) {
      previous[position & (capacity - 1)] = this.#previous[position & this.#mask] as number;
      offset[position & (capacity - 1)] = this.#offset[position & this.#mask] as number;
    }
    this.#previous = previous;
    this.#offset = offset;
    this.#mask = capacity - 1;
  }
}
