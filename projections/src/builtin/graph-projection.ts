/** Which graphs there are, in which revision, and what became of their nodes: the fold of lifecycle events. */
import {
  defineEventSchema,
  type ErrorReport,
  type EventSchema,
  type JsonObject,
  type RecordedEvent,
  type StateEvent,
} from "@millrace/engine";
import { defineProjection, type Projection } from "../projection.ts";
import type { Rows } from "../row/rows.ts";
import { isOfNoGraph } from "./foreign-event.ts";

export const GRAPHS = "graphs";

/** What a host says about a graph in the graph's own stream. Type of the event and payload, as `packState` writes it. */
export type GraphFact =
  | { readonly type: "GraphStarted"; readonly nodes: readonly GraphNode[] }
  | { readonly type: "GraphStopped" | "GraphSuspended" | "GraphResumed"; readonly reason?: string }
  | { readonly type: "GraphFinished" }
  | { readonly type: "GraphFailed"; readonly error: ErrorReport }
  | { readonly type: "NodeRestarting"; readonly node: string; readonly error: ErrorReport; readonly delayMs: number }
  | { readonly type: "NodeParked"; readonly nodes: readonly string[]; readonly error: ErrorReport };

export interface GraphNode {
  readonly node: string;
  readonly kind: string;
}

const STATES = {
  GraphStopped: "stopped",
  GraphSuspended: "suspended",
  GraphResumed: "running",
  GraphFinished: "finished",
  GraphFailed: "failed",
} as const;

const TYPES: readonly GraphFact["type"][] = [
  "GraphStarted",
  "GraphStopped",
  "GraphSuspended",
  "GraphResumed",
  "GraphFinished",
  "GraphFailed",
  "NodeRestarting",
  "NodeParked",
];

const schemas = new Map<string, EventSchema<StateEvent>>(
  TYPES.map((type) => [type, defineEventSchema({ type, version: 1 })]),
);

/** @throws EVENT-SCHEMA, EVENT-PAYLOAD */
export function graphFact(event: RecordedEvent): GraphFact {
  // The host that appended it wrote this type's shape; the projection handles no others.
  return { ...(schemas.get(event.type)?.decode(event) as object), type: event.type } as GraphFact;
}

/** Rows by graph and node; the row with the empty node is the graph itself. */
export function graphProjection(decode: (event: RecordedEvent) => GraphFact = graphFact): Projection {
  return defineProjection({
    name: GRAPHS,
    version: 1,
    handles: { types: TYPES },
    key: ["graph", "node"],
    fold(rows, event) {
      if (isOfNoGraph(event)) return;
      const fact = decode(event);
      const { graph } = event.context;
      switch (fact.type) {
        case "GraphStarted":
          begin(rows, event, fact.nodes);
          break;
        case "NodeRestarting":
          change(rows, event, fact.node, (row) => ({
            state: "backing-off",
            restarts: ((row.restarts as number | undefined) ?? 0) + 1,
            error: asJson(fact.error),
          }));
          break;
        case "NodeParked":
          for (const node of fact.nodes)
            change(rows, event, node, () => ({ state: "parked", error: asJson(fact.error) }));
          break;
        default: {
          const error = fact.type === "GraphFailed" ? { error: asJson(fact.error) } : {};
          if (rows.get(graph, "") !== undefined)
            change(rows, event, "", () => ({ state: STATES[fact.type], ...error }));
        }
      }
    },
  });
}

/** A new revision forgets nodes that it does not have; the others begin again. */
function begin(rows: Rows, event: RecordedEvent, nodes: readonly GraphNode[]): void {
  const { graph, graphRevision } = event.context;
  const before = (rows.get(graph, "")?.nodes ?? []) as readonly string[];
  const now = nodes.map((n) => n.node);
  for (const node of before) if (!now.includes(node)) rows.delete(graph, node);
  change(rows, event, "", () => ({
    kind: "graph",
    state: "running",
    revision: graphRevision,
    nodes: now,
    error: null,
  }));
  for (const { node, kind } of nodes) {
    change(rows, event, node, () => ({ kind, state: "running", revision: graphRevision, restarts: 0, error: null }));
  }
}

function change(rows: Rows, event: RecordedEvent, node: string, by: (row: JsonObject) => JsonObject): void {
  const { graph } = event.context;
  const row = rows.get(graph, node) ?? { graph, node };
  rows.put({ ...row, ...by(row), sinceMs: event.timeMs, position: event.position });
}

/** A report is made of what JSON can say. */
function asJson(error: ErrorReport): JsonObject {
  return error as unknown as JsonObject;
}
