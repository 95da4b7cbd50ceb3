/** Checks `format: cloudevents`: where it may stand, and the attributes that messages get. */
import type { DraftNode } from "./draft.ts";
import type { ProblemList } from "./problem.ts";
import type { Target } from "./target.ts";

const FORMAT = "cloudevents";
/** What is neither on the web nor a broker. */
const NO_EVENTS: ReadonlySet<string> = new Set([
  "file",
  "metronome",
  "cron",
  "telemetry",
  "postgres",
  "mysql",
  "sqlite",
  "grpc",
  "s3",
  "projection",
  "discard",
]);

export function checkCloudEvents(node: DraftNode, target: Target, problems: ProblemList): void {
  const add = (code: "GRAPH-CAP" | "GRAPH-SCHEMA", key: string, message: string): void =>
    problems.add(code, ["nodes", node.name, key], message, "key");
  if (node.text("format") !== FORMAT) {
    if (node.has("cloudevents")) add("GRAPH-SCHEMA", "cloudevents", "`cloudevents` needs `format: cloudevents`");
    return;
  }
  const { scheme } = target;
  if (NO_EVENTS.has(scheme)) add("GRAPH-CAP", "format", `${scheme}: has no CloudEvents`);
  if (node.has("personal"))
    add("GRAPH-CAP", "personal", "fields of events are not sealed, because they lie in their `data`");
  const fault =
    node.kind === "sink" ? modeFault(node.map("cloudevents").mode, target, node.has("registry")) : undefined;
  if (fault !== undefined) problems.add("GRAPH-CAP", ["nodes", node.name, "cloudevents", "mode"], fault, "key");
}

/** Brokers whose messages have headers. */
const WITH_HEADERS: ReadonlySet<string> = new Set(["kafka", "nats", "rabbitmq", "amqp10", "mqtt"]);

function modeFault(mode: unknown, { scheme, address }: Target, hasRegistry: boolean): string | undefined {
  if (mode === undefined || scheme === "https" || scheme === "http") return undefined;
  const isBucket = scheme === "nats" && /^\/\/[^/]+\/kv\//.test(address);
  if (!WITH_HEADERS.has(scheme) || isBucket) return `messages of ${isBucket ? "a bucket" : `${scheme}:`} have no mode`;
  if (mode === "batch") return "only requests over HTTP hold several events";
  return hasRegistry ? "values of a schema registry have no mode" : undefined;
}
