/**
 * Tags of events: what an event is about beside its stream, as many things as it likes. They stand in the JSON metadata of a client's
 * event as `$tags`, a list of texts, as the ids of its cause do: every client can give them and reads them back.
 */
import { CLIENT_SCHEMA, clientMetadata } from "./client-event.ts";
import type { EventInput } from "./event-log.ts";

type Tagged = Pick<EventInput, "schemaVersion" | "payload">;

const NONE: readonly string[] = [];

/** The tags of an event, each once; none where the metadata is anything else: it is the client's own business. */
export function tagsOf(event: Tagged): readonly string[] {
  const metadata = taggedMetadata(event);
  return metadata === undefined ? NONE : tagsIn(metadata);
}

/** Compiles to the question whether an event has all of these tags. */
export function hasTags(tags: readonly string[]): (event: Tagged) => boolean {
  const quoted = tags.map((tag) => JSON.stringify(tag));
  return (event) => {
    const metadata = taggedMetadata(event);
    if (metadata === undefined) return false;
    // Most events have none of these, which is seen without parsing; other writers may escape more than has to be.
    if (!metadata.includes("\\") && !quoted.every((tag) => metadata.includes(tag))) return false;
    const own = tagsIn(metadata);
    return tags.every((tag) => own.includes(tag));
  };
}

function taggedMetadata({ schemaVersion, payload }: Tagged): Buffer | undefined {
  if (schemaVersion !== CLIENT_SCHEMA) return undefined;
  const bytes = clientMetadata(payload);
  const metadata = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return metadata.includes('"$tags"') ? metadata : undefined;
}

function tagsIn(metadata: Buffer): readonly string[] {
  try {
    const parsed: unknown = JSON.parse(metadata.toString("utf8"));
    const tags = typeof parsed === "object" && parsed !== null ? (parsed as { readonly $tags?: unknown }).$tags : NONE;
    return Array.isArray(tags) ? [...new Set(tags.filter((tag): tag is string => typeof tag === "string"))] : NONE;
  } catch {
    return NONE;
  }
}
