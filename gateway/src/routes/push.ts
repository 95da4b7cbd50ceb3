/** Input for `http:` sources. The answer comes when the messages are durable; until then nothing was promised. */
import type { Json } from "@millrace/engine";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { gatewayError } from "../errors.ts";
import { NoQuery } from "../schema/field.ts";
import { PushAnswer, PushHeaders, PushParams } from "../schema/graph.ts";
import { problemResponses } from "../schema/problem.ts";
import { type App, graphOf, type RouteContext } from "./route-context.ts";

const BODY_BYTES_MAX = 16 << 20;

type ParseJson = (text: string) => Json;

export function pushRoutes(app: App, context: RouteContext): void {
  const parseJson = strictJson(app);
  app.addContentTypeParser(
    "application/x-ndjson",
    { parseAs: "string", bodyLimit: BODY_BYTES_MAX },
    (_request, body, done) => {
      try {
        done(null, parseLines(body as string, parseJson));
      } catch (thrown) {
        done(thrown as Error, undefined);
      }
    },
  );

  app.post(
    "/api/v1/graphs/:graph/push/:node",
    {
      bodyLimit: BODY_BYTES_MAX,
      schema: {
        tags: ["push"],
        summary: "Messages for an http source: a JSON array, or NDJSON",
        description:
          "Answers once the messages are durable. 429 and 503 carry Retry-After: nothing of the request was accepted.",
        params: PushParams,
        querystring: NoQuery,
        headers: PushHeaders,
        body: {
          content: {
            "application/json": { schema: Type.Array(Type.Unknown()) },
            "application/x-ndjson": { schema: Type.Array(Type.Unknown()) },
          },
        },
        response: { 200: PushAnswer, ...problemResponses },
      },
    },
    async (request) => {
      const { graph, node } = request.params;
      requireSource(context, graph, node);
      const messages = messagesOf(request);
      const position = await context.deps.host.push(graph, node, messages, request.headers["idempotency-key"]);
      return { position, accepted: messages.length };
    },
  );
}

function requireSource(context: RouteContext, graph: string, node: string): void {
  const status = graphOf(context, graph);
  if (!status.nodes.some((one) => one.node === node && one.kind === "source")) {
    throw gatewayError("HTTP-NOT-FOUND", `graph ${graph} has no source ${node}`);
  }
}

/** The validated body; a request without one has no content type and is not validated by the schema. */
function messagesOf({ body }: FastifyRequest): readonly Json[] {
  if (!Array.isArray(body)) throw gatewayError("HTTP-INVALID", "body must be a JSON array or NDJSON");
  return body as readonly Json[];
}

function parseLines(text: string, parseJson: ParseJson): Json[] {
  const messages: Json[] = [];
  let line = 0;
  for (const raw of text.split("\n")) {
    line++;
    const trimmed = raw.trim();
    if (trimmed === "") continue;
    try {
      messages.push(parseJson(trimmed));
    } catch (cause) {
      throw gatewayError("HTTP-MALFORMED", `line ${line} is not JSON`, { cause, place: { line } });
    }
  }
  return messages;
}

/** Fastify's own parser, which refuses `__proto__` keys. It answers before it returns. */
function strictJson(app: App): ParseJson {
  const parse = app.getDefaultJsonParser("error", "error");
  return (text) => {
    let failure: Error | null = null;
    let value: Json = null;
    void parse({} as FastifyRequest, text, (error, body) => {
      failure = error;
      value = body as Json;
    });
    if (failure) throw failure;
    return value;
  };
}
