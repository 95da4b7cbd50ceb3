/** What a node's state was at a moment, how it differs between two, and which events changed a field of it. */
import { clientSignal } from "../client-signal.ts";
import { gatewayError } from "../errors.ts";
import type { NodeStateReader } from "../ports.ts";
import {
  NodeParams,
  NodeStateDiffSchema,
  NodeStateSchema,
  StateChangePage,
  StateChangeQuery,
  StateDiffQuery,
  StateQuery,
} from "../schema/node-state.ts";
import { problemResponses } from "../schema/problem.ts";
import { momentOf } from "./moment.ts";
import type { App, RouteContext } from "./route-context.ts";

const tags = ["graphs"];

export function nodeStateRoutes(app: App, { deps }: RouteContext): void {
  const reader = (): NodeStateReader => {
    if (deps.nodeStates === undefined) throw gatewayError("HTTP-NOT-FOUND", "this server cannot fold states");
    return deps.nodeStates;
  };

  app.get(
    "/api/v1/graphs/:graph/nodes/:node/state",
    {
      schema: {
        tags,
        summary: "The state of a node at a position or time, folded from its stream",
        params: NodeParams,
        querystring: StateQuery,
        response: { 200: NodeStateSchema, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { graph, node } = request.params;
      const { at, limit } = request.query;
      const moment = at === undefined ? undefined : momentOf(at, "at");
      const state = await reader().at(graph, node, moment, clientSignal(request, reply));
      return { ...state, rows: state.rows.slice(0, limit) };
    },
  );

  app.get(
    "/api/v1/graphs/:graph/nodes/:node/state/diff",
    {
      schema: {
        tags,
        summary: "What changed in the state of a node between two moments",
        params: NodeParams,
        querystring: StateDiffQuery,
        response: { 200: NodeStateDiffSchema, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { graph, node } = request.params;
      const { from, to, limit } = request.query;
      const until = to === undefined ? undefined : momentOf(to, "to");
      const diff = await reader().diff(graph, node, momentOf(from, "from"), until, clientSignal(request, reply));
      return { ...diff, changes: diff.changes.slice(0, limit) };
    },
  );

  app.get(
    "/api/v1/graphs/:graph/nodes/:node/state/changes",
    {
      schema: {
        tags,
        summary: "The events that changed a field of a node's state, with who and why",
        params: NodeParams,
        querystring: StateChangeQuery,
        response: { 200: StateChangePage, ...problemResponses },
      },
    },
    async (request, reply) => {
      const { graph, node } = request.params;
      const { field, limit } = request.query;
      const found = await reader().changes(graph, node, field, limit, clientSignal(request, reply));
      return { ...found, changes: [...found.changes], fields: [...found.fields] };
    },
  );
}
