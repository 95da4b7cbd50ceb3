/** What a group has yet to deliver of the log: it goes on there, so that must not go before it. */
import type { RecordedEvent } from "@millrace/engine";
import type { EndpointContext } from "./endpoint-context.ts";
import { ALL, filterOptions, type GroupDefinition } from "./group-settings.ts";
import { linkOf, placeBehindPruned } from "./group-source.ts";
import { withKept } from "./kept-event.ts";
import type { LinkTarget } from "./link-target.ts";
import { readFilter } from "./name-filter.ts";
import { firstVisible, isSoftDeleted, isTooOld } from "./stream-metadata.ts";
import { VirtualLink } from "./virtual-streams.ts";

export type UnreadContext = Pick<EndpointContext, "log" | "streams" | "states" | "env">;

/** Position of the oldest event that a group reads from `place` on, or that a link among them points at; nothing when it reads none. */
export async function firstUnread(
  context: UnreadContext,
  definition: GroupDefinition,
  place: number,
): Promise<number | undefined> {
  try {
    return await firstUnreadFrom(context, definition, place);
  } catch (thrown) {
    const kept = await placeBehindPruned(context, definition.stream, place, thrown);
    return firstUnreadFrom(context, definition, kept);
  }
}

async function firstUnreadFrom(
  context: UnreadContext,
  definition: GroupDefinition,
  place: number,
): Promise<number | undefined> {
  const { resolveLinks } = definition.settings;
  let first = Number.POSITIVE_INFINITY;
  for await (const events of unread(context, definition, place)) {
    const [oldest] = events;
    if (oldest === undefined) continue;
    first = Math.min(first, oldest.position);
    if (!resolveLinks) break;
    // A virtual link is where the event is that it points at.
    const links = events.flatMap((event) => (event instanceof VirtualLink ? [] : (linkOf(event, true) ?? [])));
    for (const link of links) first = Math.min(first, (await positionOf(context, link)) ?? Number.POSITIVE_INFINITY);
  }
  return Number.isFinite(first) ? first : undefined;
}

/** Of an event that can be read, or was carried. */
export function positionOf({ log }: Pick<UnreadContext, "log">, target: LinkTarget): Promise<number | undefined> {
  return withKept(log, target, ({ position }) => position);
}

function unread(
  context: UnreadContext,
  definition: GroupDefinition,
  place: number,
): AsyncIterable<readonly RecordedEvent[]> {
  return definition.stream === ALL ? unreadOfAll(context, definition, place) : unreadOf(context, definition, place);
}

async function* unreadOfAll(
  { log }: UnreadContext,
  definition: GroupDefinition,
  place: number,
): AsyncGenerator<readonly RecordedEvent[]> {
  const options = filterOptions(definition);
  const filter = options && readFilter(options);
  for await (const batch of log.read({ from: place })) yield batch.filter((event) => filter?.passes(event) ?? true);
}

async function* unreadOf(
  { streams, states, env }: UnreadContext,
  { stream }: GroupDefinition,
  place: number,
): AsyncGenerator<readonly RecordedEvent[]> {
  const { metadata, isTombstoned } = await states.of(stream);
  if (isTombstoned || isSoftDeleted(metadata)) return;
  const from = Math.max(place, firstVisible(metadata, await streams.head(stream)));
  for await (const batch of streams.read(stream, { from }))
    yield batch.filter((event) => !isTooOld(metadata, event, env.clock.now()));
}
