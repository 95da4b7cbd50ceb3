/**
 * Streams as they are read after a prune: what was carried of what went, then what is left. Whoever asks for the newest of something,
 * or folds from the beginning, finds the same as before.
 */

import { eventFilter } from "./event-filter.ts";
import type { CarriedStream, EventFilter, EventLog, RecordedEvent } from "./event-log.ts";

export type KeptLog = Pick<EventLog, "readStream" | "head" | "carried" | "prunedEnd">;

/** Events of a stream, the newest first; behind what is left come those that a prune carried. */
export async function* newestFirst(log: KeptLog, stream: string, filter?: EventFilter): AsyncGenerator<RecordedEvent> {
  let last = Number.POSITIVE_INFINITY;
  if (await isLeft(log, stream)) {
    const options = { direction: "backward", ...(filter === undefined ? {} : { filter }) } as const;
    for await (const events of log.readStream(stream, options)) {
      for (const event of events) {
        last = event.revision;
        yield event;
      }
    }
  }
  // Asked for behind the reading: a prune that overtook it has carried what it did not find any more.
  const carried = carriedOf(await log.carried?.(stream), filter);
  yield* carried.reverse().filter(({ revision }) => revision < last);
}

/** A stream whose last event went has nothing to begin at. */
async function isLeft(log: KeptLog, stream: string): Promise<boolean> {
  const carried = await log.carried?.(stream);
  if (carried !== undefined) return (await log.head(stream)) > carried.revision;
  return (await log.prunedEnd?.(stream)) === undefined;
}

/** Events of a stream in order, from a revision on: those that a prune carried, then all that are left. */
export async function* oldestFirst(log: KeptLog, stream: string, from = 0): AsyncGenerator<RecordedEvent> {
  const carried = await log.carried?.(stream);
  yield* carriedOf(carried, undefined).filter(({ revision }) => revision >= from);
  const options = { from: Math.max(from, (carried?.revision ?? -1) + 1) };
  for await (const events of log.readStream(stream, options)) yield* events;
}

function carriedOf(carried: CarriedStream | undefined, filter: EventFilter | undefined): RecordedEvent[] {
  return (carried?.events ?? []).filter(eventFilter(filter));
}
