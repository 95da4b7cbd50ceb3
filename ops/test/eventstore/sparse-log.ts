/**
 * A log whose positions have gaps, as those of EventStoreDB, which are places in its files. What is asked for at a number that is
 * no place of an event, nor beside one, is refused, as it is there.
 */
import type { EventLog, ReadOptions, RecordedEvent, SubscribeOptions, SubscriptionBatch } from "@millrace/engine";

const FIRST = 13;
const STRIDE = 97;

const sparse = (position: number): number => FIRST + position * STRIDE;
const endOf = (dense: number): number => (dense === 0 ? 0 : sparse(dense - 1) + 1);

/** The first position that is not before a place, or, backwards, the last that is not behind it. */
function dense(place: number, direction: ReadOptions["direction"] = "forward"): number {
  const nearest = Math.round((place - FIRST) / STRIDE);
  if (place !== 0 && Math.abs(place - sparse(nearest)) > 1) throw new Error(`${place} is no position of an event`);
  const at = (place - FIRST) / STRIDE;
  return direction === "forward" ? Math.max(0, Math.ceil(at)) : Math.floor(at);
}

const moved = (events: readonly RecordedEvent[]): readonly RecordedEvent[] =>
  events.map((event) => ({ ...event, position: sparse(event.position) }));

/** @param log with events that are plain objects */
export function sparseLog(log: EventLog): EventLog {
  async function* read(reading: AsyncIterable<readonly RecordedEvent[]>): AsyncGenerator<readonly RecordedEvent[]> {
    for await (const events of reading) yield moved(events);
  }
  async function* subscribe({ from = 0, ...options }: SubscribeOptions): AsyncGenerator<SubscriptionBatch> {
    for await (const { events, end, live } of log.subscribe({ ...options, from: dense(from) }))
      yield { events: moved(events), end: endOf(end), live };
  }
  return {
    id: log.id,
    appendBytesMax: log.appendBytesMax,
    get durableEnd() {
      return endOf(log.durableEnd);
    },
    append: async (appends) => {
      const { position, firstPosition, ...result } = await log.append(appends);
      return { ...result, position: sparse(position), firstPosition: sparse(firstPosition) };
    },
    read: ({ from, ...options } = {}) =>
      read(log.read(from === undefined ? options : { ...options, from: dense(from, options.direction) })),
    readStream: (stream, options) => read(log.readStream(stream, options)),
    head: (stream) => log.head(stream),
    subscribe,
    close: () => log.close(),
  };
}
