/**
 * Heads of streams: index at its position + fold of the log (L-R16). Streams that the table of the un-indexed tail holds are always
 * in memory; others are looked up when they are asked for, and kept as long as they are asked for: a log may have any number of streams.
 */
import type { Dictionary } from "./dictionary.ts";
import { Generations } from "./generations.ts";
import type { LogIndex } from "./log-index.ts";
import type { TailTable } from "./tail-table.ts";

const INDEX_STEP = 64;

export interface StreamState {
  readonly number: number;
  /** Revision of the last event, durable or in flight; -1 when there is none. */
  head: number;
  /** Position of that event while it is in the tail table, else -1. */
  lastPosition: number;
}

export class StreamHeads {
  readonly #states = new Generations<string, StreamState>();
  readonly #dictionary: Dictionary;
  readonly #index: LogIndex;
  readonly #tail: TailTable;
  readonly #turnAt: number;
  /** End of the tail at the last turn: what the older generation alone has is not in the tail from here on. */
  #turnedEnd = 0;

  /** @param kept streams in memory beside those of the tail, about; at least 2 */
  constructor(dictionary: Dictionary, index: LogIndex, tail: TailTable, kept: number) {
    this.#dictionary = dictionary;
    this.#index = index;
    this.#tail = tail;
    this.#turnAt = kept / 2;
  }

  /** `undefined` for a stream that never had an event. What is found may be changed until the next {@link trim}. */
  find(stream: string): StreamState | undefined {
    const state = this.#states.get(stream);
    if (state !== undefined) return state;
    const number = this.#dictionary.numberOf("stream", stream);
    return number === undefined ? undefined : this.#load(stream, number);
  }

  /** The state of a stream that was just given its number, or again that of one whose events are being added. */
  begun(stream: string, number: number): StreamState {
    return this.#states.get(stream) ?? this.#keep(stream, { number, head: -1, lastPosition: -1 });
  }

  /**
   * Lets go of streams that were not asked for lately, when there are too many. The index has them: it is at least where the tail ended
   * when they were last asked for. While it is not, all stay, as long as most of them can be streams of the tail.
   */
  trim(): void {
    const { size } = this.#states;
    if (size < this.#turnAt) return;
    const { base, end } = this.#tail;
    if (base >= this.#turnedEnd) this.#states.turn();
    else if (size >= this.#turnAt + 2 * (end - base)) this.#states.keep(({ lastPosition }) => lastPosition >= base);
    else return;
    this.#turnedEnd = end;
  }

  /** The state of a stream that has a number. */
  get(stream: string, number: number): StreamState {
    return this.#states.get(stream) ?? this.#load(stream, number);
  }

  /** Revision of the last event below `end`. */
  durableHead(stream: string, end: number): number {
    this.trim();
    const state = this.find(stream);
    if (state === undefined) return -1;
    let head = state.head;
    let at = state.lastPosition >= this.#tail.base ? state.lastPosition : -1;
    for (; at >= end; at = this.#tail.previousOf(at)) head--;
    return at < 0 && end < this.#tail.base ? this.#indexedHead(state.number, head, end) : head;
  }

  /** For a reader that began before the index came this far: the last revision at or below `head` whose event is below `end`. */
  #indexedHead(stream: number, head: number, end: number): number {
    let last = head;
    while (last >= 0) {
      const locations = this.#index.streamFrom(stream, last, true, INDEX_STEP);
      const beyond = locations.findIndex((location) => location.position < end);
      if (beyond >= 0) return last - beyond;
      if (locations.length === 0) return last;
      last -= locations.length;
    }
    return -1;
  }

  /**
   * Positions in the tail of a stream's events with revisions from `fromRevision` on, below `end`, ascending, and the
   * revision of the first of them.
   */
  tailOf(
    state: StreamState,
    fromRevision: number,
    end: number,
  ): { readonly positions: number[]; readonly firstRevision: number } {
    const positions: number[] = [];
    let revision = state.head + 1;
    let at = state.lastPosition >= this.#tail.base ? state.lastPosition : -1;
    for (; at >= 0 && revision > fromRevision; at = this.#tail.previousOf(at)) {
      revision--;
      if (at < end) positions.push(at);
    }
    return { positions: positions.reverse(), firstRevision: revision };
  }

  #load(stream: string, number: number): StreamState {
    return this.#keep(stream, { number, head: this.#index.headOf(number), lastPosition: -1 });
  }

  #keep(stream: string, state: StreamState): StreamState {
    this.#states.set(stream, state);
    return state;
  }
}
