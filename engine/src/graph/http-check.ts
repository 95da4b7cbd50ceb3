/** Checks sources and sinks at web addresses: polled, streams of events, WebSockets. */

import { didYouMean } from "../expression/nearest.ts";
import { isJsonObject } from "../frame/json.ts";
import { checkCall, checkServiceAddress } from "./call-check.ts";
import { type CronRules, checkCron } from "./cron-check.ts";
import type { DraftNode } from "./draft.ts";
import { forbidSpeed } from "./event-time.ts";
import type { ProblemList } from "./problem.ts";
import type { Target } from "./target.ts";
import { webhookUrls } from "./webhook-address.ts";

/** Ways in which a web address is used. */
export type HttpKind = "poll" | "events" | "socket";

const KINDS: Readonly<Record<string, HttpKind>> = {
  http: "poll",
  https: "poll",
  "sse+http": "events",
  "sse+https": "events",
  ws: "socket",
  wss: "socket",
};

const SHARED = ["id", "deadline", "bytes", "auth", "headers", "allow"];
const SETTINGS: Readonly<Record<HttpKind, readonly string[]>> = {
  poll: ["every", "cron", "items", "next", "cursor", ...SHARED],
  events: ["events", "silence", "envelope", ...SHARED],
  socket: ["ack", "send", ...SHARED],
};
/** Settings of sinks that a webhook has none of. */
const SOCKET_ONLY = ["ack", "deadline", "auth", "headers"];
const SHOWN: Readonly<Record<HttpKind, string>> = {
  poll: "an address that is polled",
  events: "a stream of events",
  socket: "a WebSocket",
};

const FOLLOWED = "what comes is always followed";

/** How a source reads the address; `undefined`: it is none on the web, or a path of this server. */
export function httpKindOf({ scheme, address }: Target): HttpKind | undefined {
  const kind = KINDS[scheme];
  return kind === "poll" && scheme === "http" && !address.startsWith("//") ? undefined : kind;
}

/** The address without what says how it is read. */
export function webAddress({ scheme, address }: Target): string {
  return `${scheme.replace(/^sse\+/, "")}:${address}`;
}

export function checkHttpSource(
  node: DraftNode,
  target: Target,
  kind: HttpKind,
  rules: CronRules,
  problems: ProblemList,
): void {
  const path = ["nodes", node.name, "from"];
  const schemes = kind === "socket" ? ["ws", "wss"] : ["http", "https"];
  checkServiceAddress(webAddress(target), { path, credentials: "http.auth", schemes }, problems);
  checkCall(node, "http", problems);
  const settings = node.map("http");
  for (const key of Object.keys(settings))
    if (!SETTINGS[kind].includes(key) && Object.values(SETTINGS).some((keys) => keys.includes(key)))
      problems.add("GRAPH-SCHEMA", ["nodes", node.name, "http", key], `\`${key}\` is not for ${SHOWN[kind]}`, "key");
  if (kind === "poll") checkPoll(node, rules, problems);
  forbid(node, ["follow"], FOLLOWED, problems);
  forbidSpeed(node, `${SHOWN[kind]} does not tell the same messages again`, problems);
  checkFormat(node, kind, problems);
}

/** A source at a path of this server. */
export function checkPushSource(node: DraftNode, { address }: Target, problems: ProblemList): void {
  if (!/^\/[^/]/.test(address)) {
    const message = "expected a path of this server, as in http:/flights, or http://host/path";
    problems.add("GRAPH-SCHEMA", ["nodes", node.name, "from"], message);
  }
  forbid(node, ["follow"], FOLLOWED, problems);
  forbidSpeed(node, "what is pushed is not told again", problems);
}

function checkPoll(node: DraftNode, rules: CronRules, problems: ProblemList): void {
  const { every, cron, next, cursor } = node.map("http");
  const path = ["nodes", node.name, "http"];
  if (every !== undefined && cron !== undefined)
    problems.add("GRAPH-SCHEMA", [...path, "cron"], "`cron` takes the place of `every`; one of them is enough", "key");
  if (typeof cron === "string") checkCron(cron, [...path, "cron"], rules, problems);
  if (next !== undefined && isJsonObject(cursor ?? null))
    problems.add(
      "GRAPH-SCHEMA",
      [...path, "next"],
      "the next request is named by `next` or by `cursor`, not by both",
      "key",
    );
}

const FORMATS: Readonly<Record<HttpKind, readonly string[]>> = {
  poll: ["json", "ndjson", "cloudevents"],
  events: ["json", "cloudevents"],
  socket: ["json", "cloudevents"],
};

function checkFormat(node: DraftNode, kind: HttpKind, problems: ProblemList): void {
  const format = node.text("format");
  if (format === undefined || FORMATS[kind].includes(format)) return;
  const hint = didYouMean(format, FORMATS[kind]) || `; possible are ${FORMATS[kind].join(", ")}`;
  problems.add("GRAPH-CAP", ["nodes", node.name, "format"], `${SHOWN[kind]} is not read as ${format}${hint}`);
}

/** Hosts are checked when their secrets are known. */
export function checkWebhookSink(node: DraftNode, target: Target, problems: ProblemList): void {
  const path = ["nodes", node.name];
  const address = webAddress(target);
  if (!address.includes("${") && webhookUrls(address) === undefined)
    problems.add("GRAPH-SCHEMA", [...path, "to"], `\`${address}\` is no URL`);
  for (const key of Object.keys(node.map("http")))
    if (SOCKET_ONLY.includes(key))
      problems.add("GRAPH-SCHEMA", [...path, "http", key], `\`${key}\` is not for a webhook`, "key");
  checkCall(node, "http", problems);
}

export function checkSocketSink(node: DraftNode, target: Target, problems: ProblemList): void {
  const place = { path: ["nodes", node.name, "to"], credentials: "http.auth", schemes: ["ws", "wss"] } as const;
  checkServiceAddress(webAddress(target), place, problems);
  checkCall(node, "http", problems);
}

/** `http` says nothing about what is not on the web. */
export function forbidHttp(node: DraftNode, problems: ProblemList): void {
  forbid(node, ["http"], "only addresses on the web are called", problems);
}

function forbid(node: DraftNode, keys: readonly string[], why: string, problems: ProblemList): void {
  for (const key of keys)
    if (node.has(key)) problems.add("GRAPH-CAP", ["nodes", node.name, key], `\`${key}\`: ${why}`, "key");
}
