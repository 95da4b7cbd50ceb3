/**
 * The HTTP server. Everything it needs is in its dependencies; it opens no socket until `listen`, and `close` ends its live
 * streams first.
 */
import helmet from "@fastify/helmet";
import swagger from "@fastify/swagger";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { Env, Json } from "@millrace/engine";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { collectDefaultMetrics } from "prom-client";
import type { GatewayDeps } from "./deps.ts";
import { gatewayError } from "./errors.ts";
import { hex } from "./event-json.ts";
import { Guard } from "./guard.ts";
import { LiveFeed } from "./live/live-feed.ts";
import { refuseOtherMethods } from "./method-check.ts";
import { registerGraphMetrics, registerLogMetrics, registerProjectionMetrics } from "./metrics/graph-metrics.ts";
import { HttpMetrics } from "./metrics/http-metrics.ts";
import { problemOf } from "./problem.ts";
import { appendRoutes } from "./routes/append.ts";
import { auditRoutes } from "./routes/audit.ts";
import { consoleRoutes, isConsolePage, sendConsolePage } from "./routes/console.ts";
import { deadLetterRoutes } from "./routes/dead-letters.ts";
import { docRoutes } from "./routes/docs.ts";
import { eventRoutes } from "./routes/events.ts";
import { graphRoutes } from "./routes/graphs.ts";
import { healthRoutes } from "./routes/health.ts";
import { liveRoutes } from "./routes/live.ts";
import { metricRoutes } from "./routes/metrics.ts";
import { nodeStateRoutes } from "./routes/node-states.ts";
import { projectionLiveRoutes } from "./routes/projection-live.ts";
import { projectionRoutes } from "./routes/projections.ts";
import { pushRoutes } from "./routes/push.ts";
import type { App, RouteContext } from "./routes/route-context.ts";
import { keysOfPush } from "./routes/signed-push.ts";

const BODY_BYTES_MAX = 1 << 20;
const HEADER_BYTES_MAX = 16 << 10;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 10_000;
const URL_PART_MAX = 1000;

/** Builds the server; `listen({ host: "127.0.0.1", port })` opens it. */
export function buildGateway(deps: GatewayDeps): FastifyInstance {
  const app = newApp(deps.env);
  const context: RouteContext = {
    deps,
    guard: new Guard(deps.guard),
    feed: new LiveFeed(deps.host, deps.log, deps.env),
    streams: new Set(),
  };
  registerMetrics(app, deps);
  answerProblems(app, context);
  app.addHook("onRequest", async (request, reply) => {
    void reply.header("x-correlation-id", request.id);
    context.guard.admit(request, keysOfPush(request, deps) !== undefined);
  });
  const { reveal } = deps;
  // Answers are JSON by their schemas.
  if (reveal) app.addHook("preSerialization", async (_request, _reply, payload) => reveal(payload as Json));
  app.addHook("preClose", async () => {
    for (const stream of context.streams) stream.end();
  });
  void app.register(helmet, SECURITY_HEADERS);
  void app.register(swagger, openApi(deps));
  void app.register((scope, _options, done) => {
    const typed = scope.withTypeProvider<TypeBoxTypeProvider>();
    refuseOtherMethods(typed, () => {
      for (const add of ROUTES) add(typed, context);
    });
    done();
  });
  consoleRoutes(app, context);
  auditRoutes(app, context);
  // The type provider only adds types to routes that are defined above.
  return app as unknown as FastifyInstance;
}

const ROUTES: readonly ((app: App, context: RouteContext) => void)[] = [
  graphRoutes,
  nodeStateRoutes,
  eventRoutes,
  appendRoutes,
  projectionRoutes,
  projectionLiveRoutes,
  deadLetterRoutes,
  pushRoutes,
  liveRoutes,
  metricRoutes,
  healthRoutes,
  docRoutes,
];

function newApp(env: Env): App {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: URL_PART_MAX },
    http: { maxHeaderSize: HEADER_BYTES_MAX, headersTimeout: HEADERS_TIMEOUT_MS },
    // Unknown fields are errors, not noise; query strings are text and are read as what the schema says.
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: "array",
        useDefaults: true,
        allErrors: false,
        strict: false,
      },
    },
    genReqId: (request) => correlationId(request.headers["x-correlation-id"], env),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser("text/plain");
  return app;
}

function correlationId(given: string | string[] | undefined, env: Env): string {
  return typeof given === "string" && /^[\w-]{8,64}$/.test(given) ? given : hex(env.random.bytes(16));
}

function registerMetrics(app: App, { metrics, host, log, projections }: GatewayDeps): void {
  registerGraphMetrics(metrics, host);
  registerLogMetrics(metrics, log);
  registerProjectionMetrics(metrics, projections);
  // The default looks at the event loop every 10 ms, which is most of what an idle server does.
  collectDefaultMetrics({ register: metrics, prefix: "millrace_", eventLoopMonitoringPrecision: 100 });
  const http = new HttpMetrics(metrics);
  app.addHook("onResponse", async (request, reply) => http.record(request, reply));
}

function answerProblems(app: App, context: RouteContext): void {
  const answer = (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { problem, retryAfterSeconds, isFault } = problemOf(thrown, request.id);
    if (isFault) context.deps.report?.(thrown, request.id);
    if (retryAfterSeconds !== undefined) void reply.header("retry-after", retryAfterSeconds);
    return reply.code(problem.status).type("application/problem+json").serializer(JSON.stringify).send(problem);
  };
  app.setErrorHandler(answer);
  app.setNotFoundHandler((request, reply) => {
    if (isConsolePage(request, context)) return sendConsolePage(reply);
    return answer(gatewayError("HTTP-NOT-FOUND", `nothing answers ${request.method} ${request.url}`), request, reply);
  });
}

const SECURITY_HEADERS = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", "data:"],
      fontSrc: ["'self'"],
      connectSrc: ["'self'"],
      formAction: ["'self'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
    },
  },
  // Loopback speaks HTTP; a proxy that speaks HTTPS sets its own.
  strictTransportSecurity: false,
};

function openApi({ version }: GatewayDeps): Parameters<typeof swagger>[1] {
  return {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Millrace", version, description: "Graphs, events, projections and dead letters of one host." },
    },
    hideUntagged: true,
  };
}
