/**
 * Tags of events: what an event is about beside its stream, as many things as it likes. They stand in its JSON metadata as `$tags`, as
 * the ids of its cause do, so that every client can give them and reads them back. No index knows them: whoever asks for tags
 * has every event looked at that the rest of the filter passes.
 */
import type { RecordedEvent } from "@millrace/engine";
import { isClientEvent, metadataOf } from "./stored-event.ts";

/** Passes events that have all of these. */
export function withTags(tags: readonly string[]): (event: RecordedEvent) => boolean {
  const quoted = tags.map((tag) => JSON.stringify(tag));
  return (event) => {
    if (!isClientEvent(event)) return false;
    const metadata = metadataOf(event);
    // Most events have none of them, which is seen without parsing; other writers may escape more than has to be.
    if (!metadata.includes("$tags") || !(metadata.includes("\\") || quoted.every((tag) => metadata.includes(tag))))
      return false;
    const own = tagsIn(metadata);
    return tags.every((tag) => own.includes(tag));
  };
}

/** What is no list of texts is no tags: metadata is the client's own business. */
function tagsIn(metadata: Buffer): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(metadata.toString("utf8"));
    const tags = typeof parsed === "object" && parsed !== null ? (parsed as { readonly $tags?: unknown }).$tags : [];
    return Array.isArray(tags) ? tags : [];
  } catch {
    return [];
  }
}
