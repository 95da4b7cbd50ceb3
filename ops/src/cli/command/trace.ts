/**
 * Everything that followed from one cause, as a tree: an event's parent is the one that it was a consequence of. A cause may have any
 * number of consequences, one behind the other: only so many events are shown, and none is deeper in a tree than a terminal, and a
 * reader of JSON, can follow.
 */
import type { EventDocument } from "@millrace/gateway";
import { opsError } from "../../errors.ts";
import { type Api, type ApiOptions, withApi } from "../api.ts";
import { counted, timeText, writeJson, writeLine } from "../output.ts";
import { inert } from "../terminal-text.ts";

export interface TracedEvent extends EventDocument {
  /** Of a root that would be too deep below its cause: the cause's position. */
  readonly follows?: number;
  readonly consequences: TracedEvent[];
}

interface EventPage {
  /** The first position that can be read. */
  readonly begin: number;
  readonly end: number;
  readonly events: readonly EventDocument[];
  readonly next: string | null;
}

const PAGE_MAX = 1000;
const EVENTS_MAX = 100_000;
/** Levels of a tree. */
const DEPTH_MAX = 100;

export async function trace(id: string, options: ApiOptions & { readonly json?: boolean }): Promise<void> {
  await withApi(options, async (api) => {
    const { correlationId, events, from, end, more } = await correlated(api, id);
    const roots = treesOf(events);
    if (options.json === true) return writeJson({ from, asOf: end, correlationId, events: events.length, more, roots });
    for (const root of roots) writeTree(root, id, "", "");
    const rest = more ? `the first ${counted(events.length, "event")}` : counted(events.length, "event");
    const how = more ? "; there are more (`events ls --correlation`, --from)" : "";
    const gone = from === 0 ? "" : `; what was before position ${from} was pruned`;
    writeLine(`${rest} of correlation ${correlationId}, as of position ${end}${gone}${how}`);
  });
}

interface Correlated {
  readonly correlationId: string;
  readonly events: readonly EventDocument[];
  /** What was before was pruned. */
  readonly from: number;
  readonly end: number;
  /** True where there are more events than are shown. */
  readonly more: boolean;
}

/** `id`: a position, or the 32 hex digits of a correlation or an event. @throws CLI-USAGE, HTTP-NOT-FOUND */
async function correlated(api: Api, id: string): Promise<Correlated> {
  if (/^\d{1,15}$/.test(id)) {
    const { correlationId } = (await api.get(`/api/v1/events/${id}`, { payload: "none" })) as unknown as EventDocument;
    return eventsOf(api, correlationId);
  }
  if (!/^[0-9a-f]{32}$/.test(id)) throw opsError("CLI-USAGE", `${id}: expected a position, or an id of 32 hex digits`);
  const own = await eventsOf(api, id);
  if (own.events.length > 0) return own;
  const found = await eventById(api, id);
  if (found === undefined) throw opsError("CLI-USAGE", `the log has no event and no correlation ${id}`);
  return eventsOf(api, found.correlationId);
}

async function eventsOf(api: Api, correlationId: string): Promise<Correlated> {
  const newest = (await api.get("/api/v1/events", { limit: 1, payload: "none" })) as unknown as EventPage;
  const { begin: from } = newest;
  const events: EventDocument[] = [];
  let { end } = newest;
  for await (const page of pages(api, { correlation: correlationId, direction: "forward", from: String(from) })) {
    end = page.end;
    const room = EVENTS_MAX - events.length;
    events.push(...page.events.slice(0, room));
    if (page.events.length > room) return { correlationId, events, from, end, more: true };
  }
  return { correlationId, events, from, end, more: false };
}

/** Events are not indexed by their ids: the log is searched from its end. */
async function eventById(api: Api, id: string): Promise<EventDocument | undefined> {
  for await (const { events } of pages(api, { direction: "backward" })) {
    const found = events.find((event) => event.id === id);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function* pages(api: Api, query: Readonly<Record<string, string>>): AsyncGenerator<EventPage> {
  let cursor: string | undefined;
  do {
    const all = { ...query, limit: PAGE_MAX, payload: "none", cursor };
    const page = (await api.get("/api/v1/events", all)) as unknown as EventPage;
    yield page;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}

/**
 * Events whose cause is not among them are roots, in the order of the log, and so is every one that would be too deep. A cause comes
 * before what it causes.
 */
export function treesOf(events: readonly EventDocument[]): readonly TracedEvent[] {
  const known = new Map<string, { readonly traced: TracedEvent; readonly depth: number }>();
  const roots: TracedEvent[] = [];
  for (const event of events) {
    const cause = event.causationId === event.id ? undefined : known.get(event.causationId);
    const depth = cause === undefined ? 1 : cause.depth + 1;
    const isRoot = cause === undefined || depth > DEPTH_MAX;
    const follows = isRoot && cause !== undefined ? { follows: cause.traced.position } : {};
    const traced: TracedEvent = { ...event, ...follows, consequences: [] };
    if (isRoot) roots.push(traced);
    else cause.traced.consequences.push(traced);
    known.set(event.id, { traced, depth: isRoot ? 1 : depth });
  }
  return roots;
}

function writeTree(event: TracedEvent, wanted: string, first: string, rest: string): void {
  const { position, timeMs, type, stream, revision, principal, follows } = event;
  const mark = wanted === event.id || wanted === String(position) ? " ◀" : "";
  const cause = follows === undefined ? "" : ` after #${follows}`;
  writeLine(
    inert(`${first}#${position} ${timeText(timeMs)} ${type} ${stream}@${revision} by ${principal}${cause}${mark}`),
  );
  const last = event.consequences.length - 1;
  for (const [i, consequence] of event.consequences.entries())
    writeTree(consequence, wanted, `${rest}${i === last ? "└ " : "├ "}`, `${rest}${i === last ? "  " : "│ "}`);
}
