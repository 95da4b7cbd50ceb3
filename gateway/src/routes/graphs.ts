import type { Mutation } from "@millrace/engine";
import { Type } from "typebox";
import { gatewayError } from "../errors.ts";
import { NoQuery } from "../schema/field.ts";
import { EdgeParams, GraphList, GraphParams, GraphStatusSchema, MutationBody, PeekAnswer } from "../schema/graph.ts";
import { problemResponses } from "../schema/problem.ts";
import { type App, graphOf, type RouteContext, requireEdge, requireRevision } from "./route-context.ts";

const tags = ["graphs"];

export function graphRoutes(app: App, context: RouteContext): void {
  const { host } = context.deps;

  app.get(
    "/api/v1/graphs",
    {
      schema: {
        tags,
        summary: "Graphs of this host",
        querystring: NoQuery,
        response: { 200: GraphList, ...problemResponses },
      },
    },
    () => ({ graphs: [...host.list()] }),
  );

  app.get(
    "/api/v1/graphs/:graph",
    {
      schema: {
        tags,
        summary: "Status of a graph: nodes, edges, counters",
        params: GraphParams,
        querystring: NoQuery,
        response: { 200: GraphStatusSchema, ...problemResponses },
      },
    },
    (request, reply) => {
      const status = graphOf(context, request.params.graph);
      void reply.header("etag", `"${status.revision}"`);
      return status;
    },
  );

  app.get(
    "/api/v1/graphs/:graph/source",
    {
      schema: {
        tags,
        summary: "The graph file of the running revision",
        params: GraphParams,
        querystring: NoQuery,
        response: {
          200: { description: "The file", content: { "text/plain": { schema: Type.String() } } },
          ...problemResponses,
        },
      },
    },
    (request, reply) => {
      const { revision } = graphOf(context, request.params.graph);
      const text = host.source(request.params.graph);
      if (text === undefined)
        throw gatewayError("HTTP-NOT-FOUND", `the source of graph ${request.params.graph} is not kept`);
      void reply.header("etag", `"${revision}"`).type("text/plain; charset=utf-8");
      return text;
    },
  );

  app.get(
    "/api/v1/graphs/:graph/edges/:edge/peek",
    {
      schema: {
        tags,
        summary: "The newest messages that crossed an edge, newest first, at most 50",
        params: EdgeParams,
        querystring: NoQuery,
        response: { 200: PeekAnswer, ...problemResponses },
      },
    },
    (request) => {
      const { graph, edge } = request.params;
      requireEdge(graphOf(context, graph), edge);
      return { graph, edge, messages: [...host.recent(graph, edge)] };
    },
  );

  mutationRoutes(app, context);
}

const MUTATIONS = {
  stop: "Stops a graph after its steps in flight",
  start: "Starts a stopped graph where it left off",
  suspend: "Holds a graph: nothing is read, nothing is lost",
  resume: "Lets a suspended or parked graph go on",
} as const;

function mutationRoutes(app: App, context: RouteContext): void {
  for (const [verb, summary] of Object.entries(MUTATIONS) as [keyof typeof MUTATIONS, string][]) {
    app.post(
      `/api/v1/graphs/:graph/${verb}`,
      {
        schema: {
          tags,
          summary,
          params: GraphParams,
          querystring: NoQuery,
          body: MutationBody,
          response: { 200: GraphStatusSchema, ...problemResponses },
        },
      },
      async (request) => {
        const { graph } = request.params;
        requireRevision(request, graphOf(context, graph));
        const by: Mutation = { principal: context.guard.principal(request), reason: request.body.reason };
        await context.deps.host[verb](graph, by);
        return graphOf(context, graph);
      },
    );
  }
}
