/**
 * What becomes of a question that found nothing: a name that is written wrongly has no events either, and an empty answer would
 * hide it. Names of graphs and nodes are those of the projection `graphs`, which also knows graphs that were taken away.
 */
import { opsError } from "../errors.ts";
import { graphStreamOf } from "../host/graph-stream.ts";
import type { Api } from "./api.ts";

export interface Asked {
  readonly stream?: string | undefined;
  readonly graph?: string | undefined;
  readonly node?: string | undefined;
}

interface GraphRow {
  readonly graph: string;
  /** Empty in the row of the graph itself. */
  readonly node: string;
}

const PAGE_MAX = 1000;

/** Ask only when nothing was found. @throws CLI-UNKNOWN */
export async function refuseUnknown(api: Api, { stream, graph, node }: Asked): Promise<void> {
  if (stream === undefined && graph === undefined && node === undefined) return;
  const rows = await graphRows(api);
  const nodes = rows.filter((row) => row.node !== "");
  if (graph !== undefined) await refuse("there is no graph", graph, new Set(rows.map((row) => row.graph)));
  const candidates = nodes.filter((row) => graph === undefined || row.graph === graph);
  const none = graph === undefined ? "there is no node" : `graph ${graph} has no node`;
  if (node !== undefined) await refuse(none, node, new Set(candidates.map((row) => row.node)));
  if (stream === undefined || (await hasEvents(api, stream))) return;
  await refuse(
    "there is no stream",
    stream,
    new Set([...nodes.map(streamOf), ...rows.map((row) => graphStreamOf(row.graph))]),
  );
}

/** @throws CLI-UNKNOWN `name` is not `known`; the message is `none` and the name */
export async function refuse(none: string, name: string, known: ReadonlySet<string>): Promise<void> {
  if (known.has(name)) return;
  throw opsError("CLI-UNKNOWN", `${none} ${name}${await guess(name, known)}`);
}

/** `; did you mean `x`?`, or nothing. The engine is loaded for it only when something was not found. */
export async function guess(name: string, known: ReadonlySet<string>): Promise<string> {
  const { didYouMean } = await import("@millrace/engine");
  return didYouMean(name, known);
}

const streamOf = ({ graph, node }: GraphRow): string => `${graph}/${node}`;

async function hasEvents(api: Api, stream: string): Promise<boolean> {
  const page = await api.get("/api/v1/events", { stream, limit: 1, payload: "none" });
  return (page as unknown as { readonly events: readonly unknown[] }).events.length > 0;
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
