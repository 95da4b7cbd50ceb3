/** What logs that take conditions have in common: which event breaks one, and whether that event is the append's own. */
import { eventFilter } from "./event-filter.ts";
import type { AppendCondition, AppendResult, EventInput, RecordedEvent, StreamAppend } from "./event-log.ts";
import { logError } from "./log-errors.ts";

/** True for events that break the condition. */
export function breaksCondition({ none, after }: AppendCondition): (event: RecordedEvent) => boolean {
  const filters = none.map(eventFilter);
  return (event) => event.position > after && filters.some((passes) => passes(event));
}

/** True for an append that may break the condition once it has positions and revisions. */
export function mayBreak({ none }: AppendCondition): (appends: readonly StreamAppend[]) => boolean {
  const filters = none.map(eventFilter);
  const asRecorded = (stream: string, event: EventInput): RecordedEvent => ({
    ...event,
    stream,
    position: Number.MAX_SAFE_INTEGER,
    revision: 0,
    timeMs: 0,
  });
  return (appends) =>
    appends.some(({ stream, events }) =>
      events.some((event) => filters.some((passes) => passes(asRecorded(stream, event)))),
    );
}

/** Where the append must have begun if the event is one of its own; -1 when it is not. */
export function ownAppendAt(
  { id, position }: Pick<RecordedEvent, "id" | "position">,
  appends: readonly StreamAppend[],
): number {
  const ids = appends.flatMap(({ events }) => events.map((event) => event.id));
  const at = ids.findIndex((one) => Buffer.compare(one, id) === 0);
  return at < 0 ? -1 : position - at;
}

/** The answer to an append whose events are already there, from `found[0]` on; nothing when other events are. */
export function repeatedResult(
  found: readonly RecordedEvent[],
  appends: readonly StreamAppend[],
): AppendResult | undefined {
  const revisions: number[] = [];
  let at = 0;
  for (const { stream, events } of appends) {
    for (const { id } of events) {
      const event = found[at++];
      if (event === undefined || event.stream !== stream || Buffer.compare(event.id, id) !== 0) return undefined;
    }
    revisions.push(found[at - 1]?.revision ?? -1);
  }
  const firstPosition = found[0]?.position ?? 0;
  return { position: firstPosition + at - 1, firstPosition, revisions, repeated: true };
}

export function conditionBroken({ position, stream, type }: RecordedEvent, { after }: AppendCondition): Error {
  return logError("LOG-CONDITION", `event ${position} (${type} in ${stream}) came after position ${after}`, {
    place: { stream, position },
    details: { position, stream, type, after },
  });
}
