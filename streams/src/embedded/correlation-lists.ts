/**
 * Events of a run by their correlation ids. Most logs have nearly as many ids as events, so this is what a run costs most by: ids and
 * lists are numbers in typed arrays, found by open addressing, and nothing of them is left to the garbage collector.
 */
import { invariant } from "@millrace/engine/worker";
import { ID_BYTES } from "./record.ts";

const WORDS = ID_BYTES / 4;
const FIRST_CAPACITY = 1024;
const GROWTH = 4;
/** What a double holds beside a word of an id: far more than a run has. */
const IDS_MAX = 2 ** 21;
/** Multipliers of the hash; ids are often counters, so that all four words have to reach the high bits. */
const MIX = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f] as const;

export class CorrelationLists {
  /** How many ids there are. */
  #count = 0;
  /** Ids in the order of their first events, each of {@link WORDS} words. */
  #ids = new Uint32Array(FIRST_CAPACITY * WORDS);
  /** First and last event of each id. */
  #firsts = new Uint32Array(FIRST_CAPACITY);
  #lasts = new Uint32Array(FIRST_CAPACITY);
  /** Number of an id + 1 by its hash, 0 where there is none; at most half full. */
  #slots = new Uint32Array(FIRST_CAPACITY * 2);
  /** The event that follows in its list, by event; of the last of a list it says nothing. */
  #next = new Uint32Array(FIRST_CAPACITY);
  /** Neighbours usually belong together, so the id of the last event is compared first. */
  #last = -1;

  /** Adds the event with the next number, whose id is at `at`. */
  add(event: number, view: DataView, at: number): void {
    if (event >= this.#next.length) this.#next = grown(this.#next, event + 1);
    const id = this.#last >= 0 && this.#is(this.#last, view, at) ? this.#last : this.#find(view, at);
    if (id === this.#count) {
      this.#begin(event, view, at);
    } else {
      this.#next[this.#lasts[id] as number] = event;
      this.#lasts[id] = event;
    }
    this.#last = id;
  }

  /** Ids ascending by their first word. Each is written into `id`, and then its events are given, ascending. */
  visit(id: Buffer, single: (event: number) => void, several: (events: readonly number[]) => void): void {
    for (const place of this.#places().sort()) {
      const number = place % IDS_MAX;
      for (let word = 0; word < WORDS; word++) id.writeUInt32BE(this.#ids[number * WORDS + word] as number, word * 4);
      const first = this.#firsts[number] as number;
      if (first === this.#lasts[number]) single(first);
      else several(this.#eventsOf(number));
    }
  }

  /** Of each id its first word and, below that, its number. Where keys are kept in order, the next is found near the one before. */
  #places(): Float64Array {
    const places = new Float64Array(this.#count);
    for (let id = 0; id < places.length; id++) places[id] = (this.#ids[id * WORDS] as number) * IDS_MAX + id;
    return places;
  }

  #eventsOf(id: number): number[] {
    let event = this.#firsts[id] as number;
    const events = [event];
    while (event !== this.#lasts[id]) {
      event = this.#next[event] as number;
      events.push(event);
    }
    return events;
  }

  /** Number of the id; how many there are when it is not among them. */
  #find(view: DataView, at: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashOf(view, at) & mask; ; slot = (slot + 1) & mask) {
      const found = (this.#slots[slot] as number) - 1;
      if (found < 0) return this.#count;
      if (this.#is(found, view, at)) return found;
    }
  }

  #begin(event: number, view: DataView, at: number): void {
    invariant(this.#count < IDS_MAX, "a run has fewer events");
    if (this.#count === this.#firsts.length) this.#grow();
    const id = this.#count++;
    for (let word = 0; word < WORDS; word++) this.#ids[id * WORDS + word] = view.getUint32(at + word * 4);
    this.#firsts[id] = event;
    this.#lasts[id] = event;
    this.#place(id, hashOf(view, at));
  }

  #place(id: number, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = id + 1;
  }

  #grow(): void {
    const capacity = this.#firsts.length * GROWTH;
    this.#ids = grown(this.#ids, capacity * WORDS);
    this.#firsts = grown(this.#firsts, capacity);
    this.#lasts = grown(this.#lasts, capacity);
    this.#slots = new Uint32Array(capacity * 2);
    const view = new DataView(new ArrayBuffer(ID_BYTES));
    for (let id = 0; id < this.#count; id++) {
      for (let word = 0; word < WORDS; word++) view.setUint32(word * 4, this.#ids[id * WORDS + word] as number);
      this.#place(id, hashOf(view, 0));
    }
  }

  #is(id: number, view: DataView, at: number): boolean {
    const ids = this.#ids;
    const from = id * WORDS;
    for (let word = 0; word < WORDS; word++) if (ids[from + word] !== view.getUint32(at + word * 4)) return false;
    return true;
  }
}

function hashOf(view: DataView, at: number): number {
  let hash = 0;
  for (let word = 0; word < WORDS; word++) {
    hash = Math.imul(hash ^ view.getUint32(at + word * 4), MIX[word] as number);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/** At least `length` long. */
function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(length, array.length * GROWTH));
  larger.set(array);
  return larger;
}
