/**
 * Reads with a filter that end with their asker. A log hands over nothing until an event passes, so a read that it has no index for
 * would go to the log's end for somebody who has left: of a filter the log is told what its index serves, the rest is judged here,
 * batch by batch.
 */
import { type EventFilter, type EventLog, eventFilter, type ReadOptions, type RecordedEvent } from "@millrace/engine";
import { asksForOwnRecords, ownRecords, type SubscribableLog } from "./own-records.ts";

export interface PassingOptions extends ReadOptions {
  /** Only of this stream; `from` is a revision then. */
  readonly stream?: string;
  /** Forward: the first position that is not wanted any more. */
  readonly to?: number;
}

type ReadableLog = SubscribableLog & Pick<EventLog, "base" | "read" | "readStream" | "lists">;

/** As {@link EventLog.read} and `readStream`, but no batch is empty. @throws the signal's reason, soon after it aborts */
export async function* passingEvents(
  log: ReadableLog,
  { stream, filter, limit = Number.POSITIVE_INFINITY, to = Number.POSITIVE_INFINITY, ...range }: PassingOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly RecordedEvent[]> {
  const passes = eventFilter(filter);
  let left = limit;
  signal.throwIfAborted();
  for await (const batch of read(
    log,
    { ...range, ...(stream === undefined ? {} : { stream }), limit, filter },
    signal,
  )) {
    signal.throwIfAborted();
    const passing = batch.filter((event) => event.position < to && passes(event)).slice(0, left);
    left -= passing.length;
    if (passing.length > 0) yield passing;
    if (left <= 0 || (batch.at(-1)?.position ?? 0) >= to - 1) return;
    signal.throwIfAborted();
  }
}

interface Wanted extends Pick<ReadOptions, "from" | "direction"> {
  readonly stream?: string;
  readonly filter: EventFilter | undefined;
  readonly limit: number;
}

/** Events of the log that may pass. */
function read(
  log: ReadableLog,
  { stream, filter, limit, ...range }: Wanted,
  signal: AbortSignal,
): AsyncIterable<readonly RecordedEvent[]> {
  const options = filter === undefined && limit < Number.POSITIVE_INFINITY ? { ...range, limit } : range;
  if (stream !== undefined) return log.readStream(stream, options);
  if (filter !== undefined && asksForOwnRecords(filter)) return ownRecords(log, filter, { ...range, limit }, signal);
  const told = filter === undefined ? undefined : servedByIndex(log, filter);
  return log.read(told === undefined ? options : { ...options, filter: told });
}

/** The part of a filter by which the log finds events without looking at others; `undefined`: there is none. */
function servedByIndex({ lists }: ReadableLog, filter: EventFilter): EventFilter | undefined {
  const { types, tags, correlationId, node, graph, category, starts } = filter;
  if (lists === undefined) return undefined;
  const tagged = tags === undefined || tags.length === 0 ? {} : { tags };
  if (correlationId !== undefined) return { ...tagged, correlationId };
  if (node !== undefined) return { ...tagged, node };
  if (graph !== undefined) return { ...tagged, graph };
  if (types?.length === 1) return { ...tagged, types };
  if (category !== undefined) return { ...tagged, category };
  if (starts !== undefined) return { ...tagged, starts };
  return "tags" in tagged ? tagged : undefined;
}
