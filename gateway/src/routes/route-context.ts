import type { IncomingMessage, ServerResponse } from "node:http";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import { didYouMean, type GraphStatus } from "@millrace/engine";
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from "fastify";
import type { GatewayDeps } from "../deps.ts";
import { gatewayError } from "../errors.ts";
import type { Guard } from "../guard.ts";
import type { LiveFeed } from "../live/live-feed.ts";
import type { SseStream } from "../live/sse-stream.ts";

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** What every route may use. */
export interface RouteContext {
  readonly deps: GatewayDeps;
  readonly guard: Guard;
  readonly feed: LiveFeed;
  /** Streams that are open; closing the server ends them. */
  readonly streams: Set<SseStream>;
}

/** @throws HTTP-NOT-FOUND */
export function graphOf({ deps }: RouteContext, graph: string): GraphStatus {
  const status = deps.host.status(graph);
  if (status) return status;
  const names = deps.host.list().map((one) => one.graph);
  throw gatewayError("HTTP-NOT-FOUND", `there is no graph ${graph}${didYouMean(graph, names)}`);
}

/** @throws HTTP-NOT-FOUND */
export function requireEdge(status: GraphStatus, edge: string): void {
  if (!status.edges.some((one) => one.edge === edge)) {
    const names = status.edges.map((one) => one.edge);
    throw gatewayError("HTTP-NOT-FOUND", `graph ${status.graph} has no edge ${edge}${didYouMean(edge, names)}`);
  }
}

/**
 * Holds a change to the revision that the caller saw, if `If-Match` names one.
 * @throws HTTP-STALE
 */
export function requireRevision(request: FastifyRequest, { graph, revision }: GraphStatus): void {
  const wanted = request.headers["if-match"];
  if (wanted === undefined || wanted === "*") return;
  if (wanted.replace(/^W\/|"/g, "") !== String(revision)) {
    throw gatewayError("HTTP-STALE", `graph ${graph} is at revision ${revision}, not ${wanted}`, {
      details: { graph, revision },
    });
  }
}
