/** Sources at web addresses: polled, streams of events, WebSockets. */
import {
  type AnyNodeModel,
  durationMs,
  type Feed,
  type HttpKind,
  parseTarget,
  type SourceHttpDefinition,
  webAddress,
} from "@millrace/engine";
import type { WebCallOptions } from "@millrace/streams/http";
import { opsError } from "../errors.ts";
import { authOf, type CallDefinition, headersOf, secretsIn } from "./call-options.ts";
import type { CompileContext } from "./compile-context.ts";
import { secretValues, withSecrets } from "./secrets.ts";

type SourceModel = Extract<AnyNodeModel, { kind: "source" }>;

const EVERY = "1m";

/** Each incarnation has a feed of its own. @throws HOST-CONNECTOR the address cannot be used, or a secret does not exist */
export async function webFeed(node: SourceModel, kind: HttpKind, context: CompileContext): Promise<() => Feed> {
  const { name, definition } = node;
  const { http = {}, from } = definition;
  const call = callOptions(name, from, "from", http, context);
  switch (kind) {
    case "poll":
      return pollSource(node, call, http, context);
    case "events":
      return eventSource(call, http, context);
    case "socket":
      return socketSource(name, call, http, context);
  }
}

async function socketSource(
  node: string,
  call: WebCallOptions,
  { ack, id, send = [] }: SourceHttpDefinition,
  context: CompileContext,
): Promise<() => Feed> {
  const { env, resilience: policy } = context.options;
  const { socketFeed } = await import("@millrace/streams/http");
  const place = context.place(node, "http", "send");
  const options = {
    ...call,
    policy,
    secrets: [...(call.secrets ?? []), ...send.flatMap((text) => secretValues(text, context, place))],
    send: send.map((text) => withSecrets(text, context, place)),
    ...(ack === undefined ? {} : { ack }),
    ...(id === undefined ? {} : { id }),
  };
  return () => socketFeed(options, env);
}

async function eventSource(
  call: WebCallOptions,
  { events, envelope, silence, id }: SourceHttpDefinition,
  { options: { env, resilience: policy } }: CompileContext,
): Promise<() => Feed> {
  const { eventStreamFeed } = await import("@millrace/streams/http");
  const options = {
    ...call,
    policy,
    ...(events === undefined ? {} : { events }),
    ...(envelope === undefined ? {} : { envelope }),
    ...(silence === undefined ? {} : { silenceMs: durationMs(silence) }),
    ...(id === undefined ? {} : { id }),
  };
  return () => eventStreamFeed(options, env);
}

async function pollSource(
  { definition: { format } }: SourceModel,
  call: WebCallOptions,
  http: SourceHttpDefinition,
  { options: { env, resilience: policy } }: CompileContext,
): Promise<() => Feed> {
  const { pollFeed } = await import("@millrace/streams/http");
  const { every = EVERY, cron, items, next, cursor, id } = http;
  const options = {
    ...call,
    policy,
    schedule: cron === undefined ? { everyMs: durationMs(every) } : { cron: cron.trim() },
    ...(format === "json" || format === "ndjson" ? { format } : {}),
    ...(items === undefined ? {} : { items }),
    ...(next === undefined ? {} : { next }),
    ...(cursor === undefined ? {} : { cursor }),
    ...(id === undefined ? {} : { id }),
  };
  return () => pollFeed(options, env);
}

type Calling = CallDefinition & Pick<SourceHttpDefinition, "deadline" | "bytes">;

/** `key` is where the node has its address. */
export function callOptions(
  node: string,
  target: string,
  key: "from" | "to",
  http: Calling,
  context: CompileContext,
): WebCallOptions {
  const place = context.place(node, key);
  const address = webAddress(parseTarget(target) ?? { scheme: "", address: "" });
  const url = withSecrets(address, context, place);
  // The text may hold a secret, and so may the error.
  if (!URL.canParse(url)) throw opsError("HOST-CONNECTOR", "the address, with its secrets, is none", { place });
  const auth = authOf(http, node, "http", context);
  const { deadline, bytes, allow } = http;
  return {
    url,
    headers: headersOf(http, node, "http", context),
    secrets: secretsIn([address], http, node, context),
    ...(auth === undefined ? {} : { auth }),
    ...(allow === undefined ? {} : { allow }),
    ...(deadline === undefined ? {} : { deadlineMs: durationMs(deadline) }),
    ...(bytes === undefined ? {} : { bytesMax: bytes }),
  };
}
