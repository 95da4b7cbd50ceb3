import { Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";

interface Slot {
  frame: Frame;
  bytes: number;
  arrival: number;
}

/** The frames of one lane that wait in a mailbox, in order: a ring that is allocated with its first frame. */
export class LaneQueue {
  readonly path: number;
  readonly waiters: (() => void)[] = [];
  messages = 0;
  bytes = 0;
  #ring: (Slot | undefined)[] = [];
  #head = 0;
  #tail = 0;

  constructor(path: number) {
    this.path = path;
  }

  /** Frames waiting. */
  get length(): number {
    return this.#tail - this.#head;
  }

  /** Arrival number of the oldest frame; meaningless when empty. */
  get arrival(): number {
    return this.#at(this.#head)?.arrival ?? Number.POSITIVE_INFINITY;
  }

  head(): Frame | undefined {
    return this.length === 0 ? undefined : this.#at(this.#head)?.frame;
  }

  last(): Frame | undefined {
    return this.length === 0 ? undefined : this.#at(this.#tail - 1)?.frame;
  }

  push(frame: Frame, bytes: number, arrival: number): void {
    if (this.length === this.#ring.length) this.#grow();
    this.#ring[this.#tail++ & (this.#ring.length - 1)] = { frame, bytes, arrival };
    this.messages += frame.n;
    this.bytes += bytes;
  }

  shift(): Frame | undefined {
    if (this.length === 0) return undefined;
    const i = this.#head++ & (this.#ring.length - 1);
    const slot = this.#ring[i] as Slot;
    this.#ring[i] = undefined;
    this.messages -= slot.frame.n;
    this.bytes -= slot.bytes;
    return slot.frame;
  }

  replaceLast(frame: Frame): void {
    const slot = this.#at(this.#tail - 1) as Slot;
    this.messages += frame.n - slot.frame.n;
    slot.frame = frame;
  }

  clear(): void {
    this.#ring = [];
    this.#head = 0;
    this.#tail = 0;
    this.messages = 0;
    this.bytes = 0;
  }

  wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  /** Removes up to `excess` of the oldest messages; their ranges stay. Returns how many it removed. */
  dropOldest(excess: number): number {
    let left = excess;
    for (let i = this.#head; i < this.#tail && left > 0; i++) {
      const { frame } = this.#at(i) as Slot;
      const drop = Math.min(left, frame.n);
      left -= drop;
      if (drop > 0) this.#keep(i, upFrom(drop, frame.n));
    }
    return excess - left;
  }

  dropNewest(excess: number): number {
    let left = excess;
    for (let i = this.#tail - 1; i >= this.#head && left > 0; i--) {
      const { frame } = this.#at(i) as Slot;
      const drop = Math.min(left, frame.n);
      left -= drop;
      if (drop > 0) this.#keep(i, upFrom(0, frame.n - drop));
    }
    return excess - left;
  }

  /** Keeps the newest message of each key. */
  conflate(keyOf: (message: Json) => Json): number {
    const seen = new Set<string>();
    let removed = 0;
    for (let i = this.#tail - 1; i >= this.#head; i--) {
      const { frame } = this.#at(i) as Slot;
      const keep: number[] = [];
      for (let m = frame.n - 1; m >= 0; m--) {
        const key = JSON.stringify(keyOf(frame.batch.row(m)));
        if (seen.has(key)) removed++;
        else keep.push(m);
        seen.add(key);
      }
      if (keep.length < frame.n) this.#keep(i, Uint32Array.from(keep.reverse()));
    }
    return removed;
  }

  #keep(i: number, indices: Uint32Array): void {
    const slot = this.#at(i) as Slot;
    const { frame } = slot;
    const shed = frame.head.shed + frame.n - indices.length;
    this.messages -= frame.n - indices.length;
    slot.frame = new Frame(
      { ...frame.head, shed },
      frame.batch.select(indices),
      frame.positions.select(indices),
      frame.dead,
      frame.late,
    );
  }

  #at(i: number): Slot | undefined {
    return this.#ring[i & (this.#ring.length - 1)];
  }

  #grow(): void {
    const n = this.length;
    const ring = new Array<Slot | undefined>(Math.max(4, this.#ring.length * 2)).fill(undefined);
    for (let i = 0; i < n; i++) ring[i] = this.#at(this.#head + i);
    this.#ring = ring;
    this.#head = 0;
    this.#tail = n;
  }
}

function upFrom(start: number, end: number): Uint32Array {
  const indices = new Uint32Array(end - start);
  for (let i = start; i < end; i++) indices[i - start] = i;
  return indices;
}
