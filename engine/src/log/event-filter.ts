import { categoryOf, type EventList } from "./event-list.ts";
import type { EventFilter, RecordedEvent } from "./event-log.ts";
import { hasTags } from "./event-tags.ts";

/** Compiles a filter: the answer is true for events that meet all its conditions. No filter passes everything. */
export function eventFilter(filter: EventFilter | undefined): (event: RecordedEvent) => boolean {
  if (filter === undefined) return () => true;
  const { streamPrefix, graph, node, correlationId, category, starts } = filter;
  const types = filter.types === undefined ? undefined : new Set(filter.types);
  const tagged = filter.tags === undefined ? undefined : hasTags(filter.tags);
  return (event) =>
    (types === undefined || types.has(event.type)) &&
    (streamPrefix === undefined || event.stream.startsWith(streamPrefix)) &&
    (graph === undefined || event.context.graph === graph) &&
    (node === undefined || event.context.node === node) &&
    (correlationId === undefined || sameBytes(event.context.correlationId, correlationId)) &&
    (category === undefined || categoryOf(event.stream) === category) &&
    (starts === undefined || event.revision === 0) &&
    (tagged === undefined || tagged(event));
}

/** Passes exactly the events of the list. */
export function listFilter(list: EventList): EventFilter {
  if ("type" in list) return { types: [list.type] };
  return "tag" in list ? { tags: [list.tag] } : list;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
