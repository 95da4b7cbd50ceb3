import type { EventInput } from "./event-log.ts";

/** The event with bytes of its own: what a log must keep that holds events in memory, since callers may reuse theirs. */
export function copiedEvent(event: EventInput): EventInput {
  const { causationId, correlationId } = event.context;
  return {
    ...event,
    id: new Uint8Array(event.id),
    payload: new Uint8Array(event.payload),
    context: {
      ...event.context,
      causationId: new Uint8Array(causationId),
      correlationId: new Uint8Array(correlationId),
    },
  };
}
