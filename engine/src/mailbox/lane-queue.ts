import { Frame } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { joinedEmpty } from "./empty-frames.ts";

interface Slot {
  frame: Frame;
  bytes: number;
  arrival: number;
}

/** The frames of one lane that wait in a mailbox, in order: a ring that is allocated with its first frame. */
export class LaneQueue {
  readonly path: number;
  readonly #waiters = new Set<() => void>();
  /** Messages waiting, dead ones included: they take room, although overflow never drops them. */
  messages = 0;
  bytes = 0;
  /** Frames that overflow emptied since they were last joined. */
  #emptied = 0;
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
    this.messages += sizeOf(frame);
    this.bytes += bytes;
  }

  shift(): Frame | undefined {
    if (this.length === 0) return undefined;
    const i = this.#head++ & (this.#ring.length - 1);
    const slot = this.#ring[i] as Slot;
    this.#ring[i] = undefined;
    this.messages -= sizeOf(slot.frame);
    this.bytes -= slot.bytes;
    return slot.frame;
  }

  replaceLast(frame: Frame): void {
    const slot = this.#at(this.#tail - 1) as Slot;
    this.messages += sizeOf(frame) - sizeOf(slot.frame);
    slot.frame = frame;
  }

  clear(): void {
    this.#ring = [];
    this.#head = 0;
    this.#tail = 0;
    this.#emptied = 0;
    this.messages = 0;
    this.bytes = 0;
  }

  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  await(wake: () => void): void {
    this.#waiters.add(wake);
  }

  wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter();
  }

  /**
   * Removes the oldest messages until both bounds hold, but not the last one; their ranges stay. Returns how many it removed.
   */
  dropOldest(messagesMax: number, bytesMax: number): number {
    const before = this.messages;
    for (let i = this.#head; i < this.#tail; i++) {
      const drop = this.#excessIn(i, messagesMax, bytesMax);
      if (drop > 0) this.#keep(i, upFrom(drop, (this.#at(i) as Slot).frame.n));
      else if (this.#isWithin(messagesMax, bytesMax)) break;
    }
    this.#joinEmptied();
    return before - this.messages;
  }

  /** As {@link dropOldest}, from the other end. */
  dropNewest(messagesMax: number, bytesMax: number): number {
    const before = this.messages;
    for (let i = this.#tail - 1; i >= this.#head; i--) {
      const drop = this.#excessIn(i, messagesMax, bytesMax);
      if (drop > 0) this.#keep(i, upFrom(0, (this.#at(i) as Slot).frame.n - drop));
      else if (this.#isWithin(messagesMax, bytesMax)) break;
    }
    this.#joinEmptied();
    return before - this.messages;
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
    this.#joinEmptied();
    return removed;
  }

  #isWithin(messagesMax: number, bytesMax: number): boolean {
    return this.messages <= messagesMax && this.bytes <= bytesMax;
  }

  /** How many messages of slot `i` must go. */
  #excessIn(i: number, messagesMax: number, bytesMax: number): number {
    const { frame, bytes } = this.#at(i) as Slot;
    if (frame.n === 0) return 0;
    const tooManyBytes = Math.max(0, this.bytes - bytesMax);
    const byBytes = tooManyBytes === 0 ? 0 : Math.ceil(tooManyBytes / (bytes / frame.n));
    const excess = Math.max(this.messages - messagesMax, Math.min(byBytes, this.messages - 1));
    return Math.max(0, Math.min(frame.n, excess));
  }

  /** Frames that were emptied join their empty neighbours: a receiver that stands still must not collect ranges without end. */
  #joinEmptied(): void {
    if (this.#emptied * 2 <= this.length) return;
    this.#emptied = 0;
    let to = this.#head;
    for (let i = this.#head + 1; i < this.#tail; i++) {
      const slot = this.#at(i) as Slot;
      const before = this.#at(to) as Slot;
      const joined = joinedEmpty(before.frame, slot.frame);
      if (joined !== undefined) before.frame = joined;
      else this.#ring[++to & (this.#ring.length - 1)] = slot;
    }
    for (let i = to + 1; i < this.#tail; i++) this.#ring[i & (this.#ring.length - 1)] = undefined;
    this.#tail = to + 1;
  }

  #keep(i: number, indices: Uint32Array): void {
    const slot = this.#at(i) as Slot;
    const { frame } = slot;
    const shed = frame.head.shed + frame.n - indices.length;
    const bytes = Math.floor((slot.bytes * indices.length) / frame.n);
    this.messages -= frame.n - indices.length;
    this.bytes -= slot.bytes - bytes;
    slot.bytes = bytes;
    if (indices.length === 0) this.#emptied++;
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

function sizeOf(frame: Frame): number {
  return frame.n + frame.dead.length;
}

function upFrom(start: number, end: number): Uint32Array {
  const indices = new Uint32Array(end - start);
  for (let i = start; i < end; i++) indices[i - start] = i;
  return indices;
}
