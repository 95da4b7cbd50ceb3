/** Events on their way into a script: which of them it gets, and as what. */
import { categoryOf, type EventFilter, type Json, listFilter, type RecordedEvent } from "@millrace/engine";
import type { ScriptEvent, ScriptSource } from "@millrace/projections";
import type { DescribeEvent } from "../ports.ts";
import { isProjectionState, projectionPrincipal } from "./projection-definition.ts";
import {
  clientParts,
  dataOf,
  isClientEvent,
  JSON_TYPE,
  LINK_TYPE,
  METADATA_TYPE,
  TOMBSTONE_TYPE,
} from "./stored-event.ts";
import { isMetastream, isSoftDeleted, parseMetadata, subjectOf } from "./stream-metadata.ts";
import { uuidText } from "./uuid.ts";
import { virtualFilter, virtualList } from "./virtual-streams.ts";

/** What the log may leave out before {@link sourceTest} looks: as narrow as its index allows. */
export function sourceFilter(source: ScriptSource): EventFilter | undefined {
  if (source.deletions) return undefined;
  const types = source.types === null ? {} : { types: source.types };
  const [stream] = source.streams;
  if (stream !== undefined) {
    const list = source.streams.length === 1 ? virtualList(stream) : undefined;
    return list && listFilter(list);
  }
  const [category] = source.categories;
  if (category !== undefined) return source.categories.length === 1 ? { ...types, category } : undefined;
  return source.types === null ? undefined : types;
}

/** Whether an event is of the script's source. What it wrote itself is not, or it would never end. */
export function sourceTest(name: string, source: ScriptSource): (event: RecordedEvent) => boolean {
  const principal = projectionPrincipal(name);
  const streams = new Set(source.streams);
  const categories = new Set(source.categories);
  const lists = source.streams.flatMap((stream) => virtualFilter(stream) ?? []);
  const withLinks = source.options.$includeLinks === true;
  return (event) => {
    const stream = deletedBy(event) ?? event.stream;
    if (isProjectionState(stream) || event.context.principal === principal) return false;
    if (source.all) return event.type !== LINK_TYPE || withLinks;
    if (streams.has(stream)) return true;
    const category = categoryOf(stream);
    if (category !== undefined && categories.has(category)) return true;
    return lists.some((passes) => passes(event));
  };
}

/** The stream that an event deletes, softly or for ever. */
export function deletedBy(event: RecordedEvent): string | undefined {
  if (!isClientEvent(event)) return undefined;
  if (event.type === TOMBSTONE_TYPE) return event.stream;
  if (event.type !== METADATA_TYPE || !isMetastream(event.stream)) return undefined;
  return isSoftDeleted(parseMetadata(dataOf(event).toString("utf8"))) ? subjectOf(event.stream) : undefined;
}

/** With bytes of its own. `link` is the event that pointed at it. */
export function scriptEvent(event: RecordedEvent, describe: DescribeEvent, link?: string): ScriptEvent {
  const { contentType, data, metadata } = clientParts(event, describe);
  const json = contentType === JSON_TYPE ? parsed(data) : undefined;
  const deletion = deletedBy(event);
  return {
    isJson: json !== undefined,
    data: json,
    bodyRaw: data,
    sequenceNumber: event.revision,
    metadata: parsed(metadata),
    metadataRaw: metadata,
    linkMetadataRaw: link ?? "",
    eventType: event.type,
    streamId: deletion ?? event.stream,
    eventId: uuidText(event.id),
    created: new Date(event.timeMs).toISOString(),
    ...(deletion === undefined ? {} : { isDeletion: true }),
  };
}

function parsed(text: string): Json | undefined {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    // A client may call anything JSON; a handler then has the text alone.
    return undefined;
  }
}
