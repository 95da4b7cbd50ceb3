/** Input for `http:` sources. The answer comes when the messages are durable; until then nothing was promised. */
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import { cloudEventFromHeaders, hasCloudEventHeaders, type Json, messageOf } from "@millrace/engine";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { gatewayError } from "../errors.ts";
import { NoQuery } from "../schema/field.ts";
import { PushAnswer, PushHeaders, PushParams } from "../schema/graph.ts";
import { problemResponses } from "../schema/problem.ts";
import { type App, graphOf, type RouteContext } from "./route-context.ts";
import { PUSH_URL, SignedPushes } from "./signed-push.ts";

const BODY_BYTES_MAX = 16 << 20;

/** In a scope of its own: only here a body is looked at as it came before it is parsed. */
export function pushRoutes(app: App, context: RouteContext): void {
  void app.register((scope, _options, done) => {
    const signed = new SignedPushes(context.deps);
    readBodies(scope, signed);
    addPush(scope.withTypeProvider<TypeBoxTypeProvider>(), context, signed);
    done();
  });
}

function readBodies(scope: App, signed: SignedPushes): void {
  const parsers: readonly (readonly [type: string, parse: (text: string) => Json])[] = [
    ["application/json", parseJson],
    ["application/x-ndjson", parseLines],
    ["application/cloudevents+json", (text) => [parseJson(text)]],
    ["application/cloudevents-batch+json", parseJson],
  ];
  scope.removeAllContentTypeParsers();
  for (const [type, parse] of parsers) {
    scope.addContentTypeParser(type, { parseAs: "buffer", bodyLimit: BODY_BYTES_MAX }, (request, body, done) => {
      try {
        const isSigned = signed.check(request, body as Buffer);
        const { headers } = request;
        const text = (body as Buffer).toString("utf8");
        if (hasCloudEventHeaders(headers)) {
          done(null, [cloudEventFromHeaders(headers, text === "" ? undefined : parse(text), true)]);
          return;
        }
        const value = parse(text);
        // Webhooks of others are one message, not a list of them.
        done(null, isSigned && !Array.isArray(value) ? [value] : value);
      } catch (thrown) {
        done(thrown as Error, undefined);
      }
    });
  }
}

function addPush(app: App, context: RouteContext, signed: SignedPushes): void {
  app.post(
    PUSH_URL,
    {
      bodyLimit: BODY_BYTES_MAX,
      schema: {
        tags: ["push"],
        summary: "Messages for an http source: a JSON array, NDJSON, or CloudEvents",
        description:
          "Answers once the messages are durable. 429 and 503 carry Retry-After: nothing of the request was accepted. A source with a secret takes only what is signed as Standard Webhooks says, each webhook-id once; there any other JSON value is one message. CloudEvents come one by one (`application/cloudevents+json`, or JSON with `ce-` headers) or as a batch.",
        params: PushParams,
        querystring: NoQuery,
        headers: PushHeaders,
        body: {
          content: {
            "application/json": { schema: Type.Array(Type.Unknown()) },
            "application/x-ndjson": { schema: Type.Array(Type.Unknown()) },
            "application/cloudevents+json": { schema: Type.Array(Type.Unknown()) },
            "application/cloudevents-batch+json": { schema: Type.Array(Type.Unknown()) },
          },
        },
        response: { 200: PushAnswer, ...problemResponses },
      },
    },
    async (request) => {
      const { graph, node } = request.params;
      requireSource(context, graph, node);
      const id = signed.idOf(request);
      const messages = messagesOf(request);
      const position = await context.deps.host.push(graph, node, messages, id);
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
function messagesOf({ body, headers }: FastifyRequest): readonly Json[] {
  // An event without data. Where a signature is needed it has been refused: headers are not signed.
  if (body === undefined && hasCloudEventHeaders(headers)) return [cloudEventFromHeaders(headers, undefined, true)];
  if (!Array.isArray(body)) throw gatewayError("HTTP-INVALID", "body must be a JSON array or NDJSON");
  return body as readonly Json[];
}

function parseLines(text: string): Json[] {
  const messages: Json[] = [];
  let line = 0;
  for (const raw of text.split("\n")) {
    line++;
    const trimmed = raw.trim();
    if (trimmed === "") continue;
    try {
      messages.push(parseJson(trimmed));
    } catch (cause) {
      throw gatewayError("HTTP-MALFORMED", `line ${line}: ${messageOf(cause)}`, { cause, place: { line } });
    }
  }
  return messages;
}

/** A message is data, and may have fields of any name; no parser of Fastify's takes a `__proto__`. A byte order mark is no part of the text. */
function parseJson(text: string): Json {
  try {
    return JSON.parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text) as Json;
  } catch (cause) {
    const why = text === "" ? "there is no body" : `not JSON: ${messageOf(cause)}`;
    throw gatewayError("HTTP-MALFORMED", why, { cause });
  }
}

const BYTE_ORDER_MARK = 0xfeff;
