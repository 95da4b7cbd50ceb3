/**
 * What becomes of a question that found nothing: a name that is written wrongly has no events either, and an empty answer would
 * hide it. Names of graphs and nodes are those of the projection `graphs`, which also knows graphs that were taken away.
 */
import { opsError } from "../errors.ts";
import { graphStreamOf } from "../host/graph-stream.ts";
import type { Api, Query } from "./api.ts";
import { OWN_EVENT_TYPES } from "./own-event-types.ts";

export interface Asked {
  readonly stream?: string | undefined;
  readonly graph?: string | undefined;
  readonly node?: string | undefined;
  /** Types of events, separated by commas. */
  readonly type?: string | undefined;
  readonly category?: string | undefined;
  readonly tag?: readonly string[] | undefined;
  readonly correlation?: string | undefined;
}

interface GraphRow {
  readonly graph: string;
  /** Empty in the row of the graph itself. */
  readonly node: string;
}

const PAGE_MAX = 1000;

/** Ask only when nothing was found. @throws CLI-UNKNOWN */
export async function refuseUnknown(api: Api, asked: Asked): Promise<void> {
  await refuseUnknownPlaces(api, asked);
  await refuseUnknownTypes(api, asked.type ?? "");
  const { category, tag = [], correlation } = asked;
  if (category !== undefined) await refuseWithoutEvents(api, "there is no stream of category", category, { category });
  for (const one of tag) await refuseWithoutEvents(api, "no event has the tag", one, { tag: [one] });
  if (correlation !== undefined)
    await refuseWithoutEvents(api, "the log has no correlation", correlation, { correlation });
}

async function refuseUnknownPlaces(api: Api, { stream, graph, node }: Asked): Promise<void> {
  if (stream === undefined && graph === undefined && node === undefined) return;
  const rows = await graphRows(api);
  const nodes = rows.filter((row) => row.node !== "");
  if (graph !== undefined) await refuse("there is no graph", graph, new Set(rows.map((row) => row.graph)));
  const candidates = nodes.filter((row) => graph === undefined || row.graph === graph);
  const none = graph === undefined ? "there is no node" : `graph ${graph} has no node`;
  if (node !== undefined) await refuse(none, node, new Set(candidates.map((row) => row.node)));
  if (stream === undefined || (await hasEvents(api, { stream }))) return;
  await refuse(
    "there is no stream",
    stream,
    new Set([...nodes.map(streamOf), ...rows.map((row) => graphStreamOf(row.graph))]),
  );
}

/** Which types a log has is told by no list: the nearest is looked for among Millrace's own, and those of its first and last events. */
async function refuseUnknownTypes(api: Api, types: string): Promise<void> {
  for (const type of types.split(",")) {
    if (type === "" || OWN_EVENT_TYPES.includes(type) || (await hasEvents(api, { type }))) continue;
    const known = new Set(OWN_EVENT_TYPES);
    const last = await eventsOf(api, { limit: PAGE_MAX });
    const first = await eventsOf(api, { direction: "forward", from: last.begin, limit: PAGE_MAX });
    for (const event of [...first.events, ...last.events]) known.add(event.type);
    await refuse("the log has no event of type", type, known);
  }
}

async function refuseWithoutEvents(api: Api, none: string, name: string, query: Query): Promise<void> {
  if (!(await hasEvents(api, query))) await refuse(none, name, new Set());
}

/** @throws CLI-UNKNOWN `name` is not `known`; the message is `none` and the name */
export async function refuse(none: string, name: string, known: ReadonlySet<string>): Promise<void> {
  if (known.has(name)) return;
  throw opsError("CLI-UNKNOWN", `${none} ${name}${await guess(name, known)}`);
}

/** `; did you mean `x`?`, or nothing. The engine is loaded for it only when something was not found. */
async function guess(name: string, known: ReadonlySet<string>): Promise<string> {
  const { didYouMean } = await import("@millrace/engine");
  return didYouMean(name, known);
}

const streamOf = ({ graph, node }: GraphRow): string => `${graph}/${node}`;

async function hasEvents(api: Api, query: Query): Promise<boolean> {
  return (await eventsOf(api, { ...query, limit: 1 })).events.length > 0;
}

interface EventPage {
  /** The first position that can be read. */
  readonly begin: number;
  readonly events: readonly { readonly type: string }[];
}

async function eventsOf(api: Api, query: Query): Promise<EventPage> {
  return (await api.get("/api/v1/events", { ...query, payload: "none" })) as unknown as EventPage;
}

async function graphRows(api: Api): Promise<readonly GraphRow[]> {
  const found: GraphRow[] = [];
  let cursor: string | undefined;
  do {
    const answer = await api.get("/api/v1/projections/graphs", { limit: PAGE_MAX, cursor });
    const { rows, next } = answer as unknown as { readonly rows: readonly GraphRow[]; readonly next: string | null };
    found.push(...rows);
    cursor = next ?? undefined;
  } while (cursor !== undefined);
  return found;
}
