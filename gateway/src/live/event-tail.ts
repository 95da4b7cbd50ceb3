/**
 * The newest events for one watcher, coalesced: at most {@link NEWEST_MAX} per beat, and how many it left out. Positions
 * are dense, so that the count of what an unfiltered tail skipped is exact.
 */
import type { EventFilter, EventLog } from "@millrace/engine";
import { type EventHead, eventHead } from "../event-json.ts";
import { type Beat, NEWEST_MAX } from "./live-feed.ts";

export interface EventTailMessage {
  /** Oldest first. */
  readonly events: readonly EventHead[];
  /** Events since the message before that are not shown. */
  readonly skipped: number;
  /** Position after the newest event that this message accounts for. */
  readonly end: number;
}

/** A filtered tail reads at most this many positions back; what is older it counts as skipped. */
const SCAN_MAX = 20_000;

export class EventTail {
  readonly #log: EventLog;
  readonly #filter: EventFilter | undefined;
  /** First position not told yet. */
  #from: number;

  constructor(log: EventLog, filter: EventFilter | undefined, from: number) {
    this.#log = log;
    this.#filter = filter;
    this.#from = from;
  }

  /** What is new, or `undefined` when nothing is. */
  async next(beat: Beat): Promise<EventTailMessage | undefined> {
    if (beat.end <= this.#from) return undefined;
    const message = this.#filter
      ? await this.#filtered(this.#filter, beat.end)
      : this.#coalesced(await beat.newest(), beat.end);
    this.#from = beat.end;
    return message.events.length > 0 || message.skipped > 0 ? message : undefined;
  }

  #coalesced(newest: readonly EventHead[], end: number): EventTailMessage {
    const events = newest.filter(({ position }) => position >= this.#from);
    return { events, skipped: end - this.#from - events.length, end };
  }

  async #filtered(filter: EventFilter, end: number): Promise<EventTailMessage> {
    const from = Math.max(this.#from, end - SCAN_MAX);
    const events: EventHead[] = [];
    let skipped = from - this.#from;
    for await (const batch of this.#log.read({ from, direction: "forward", filter })) {
      for (const event of batch) {
        if (event.position >= end) return { events, skipped, end };
        events.push(eventHead(event));
        if (events.length > NEWEST_MAX) skipped += events.splice(0, 1).length;
      }
    }
    return { events, skipped, end };
  }
}
