/** Checks the addresses of brokers, and that what is asked of one lies in what it can do. */
import { parseActivemqAddress } from "./activemq-address.ts";
import { parseAmqp10Address } from "./amqp10-address.ts";
import { parseCustomAddress } from "./custom-address.ts";
import type { DraftNode } from "./draft.ts";
import { forbidIdle, forbidSpeed } from "./event-time.ts";
import { parseGrpcAddress } from "./grpc-address.ts";
import { parseGrpcListenAddress } from "./grpc-listen-address.ts";
import { parseJmsAddress } from "./jms-address.ts";
import { parseKafkaAddress } from "./kafka-address.ts";
import { parseMemAddress } from "./mem-address.ts";
import { parseMemredisAddress } from "./memredis-address.ts";
import { parseMqttAddress } from "./mqtt-address.ts";
import { parseNatsAddress } from "./nats-address.ts";
import type { ProblemList } from "./problem.ts";
import { parseRabbitmqAddress } from "./rabbitmq-address.ts";
import { parseRedisAddress } from "./redis-address.ts";
import { parseS3Address } from "./s3-address.ts";
import { parseMysqlAddress, parsePostgresAddress } from "./sql-address.ts";
import { parseSqliteAddress } from "./sqlite-address.ts";
import type { Target } from "./target.ts";

type Side = "source" | "sink";
type Parsed = { readonly kind: string } | { readonly fault: string };

const PARSERS: ReadonlyMap<string, (address: string, side: Side) => Parsed> = new Map<
  string,
  (address: string, side: Side) => Parsed
>([
  ["kafka", parseKafkaAddress],
  ["nats", parseNatsAddress],
  ["redis", parseRedisAddress],
  ["postgres", parsePostgresAddress],
  ["mysql", parseMysqlAddress],
  ["mqtt", parseMqttAddress],
  ["rabbitmq", parseRabbitmqAddress],
  ["activemq", parseActivemqAddress],
  ["amqp10", parseAmqp10Address],
  ["jms", parseJmsAddress],
  ["s3", parseS3Address],
  ["sqlite", parseSqliteAddress],
  ["grpc", parseGrpcAddress],
  ["grpc+listen", parseGrpcListenAddress],
  ["mem", parseMemAddress],
  ["memredis", parseMemredisAddress],
  ["custom", parseCustomAddress],
]);
/** Kinds of sources, by scheme, that cannot be read again, and why. */
const ONCE: ReadonlyMap<string, string> = new Map([
  ["nats:core", "a core subject keeps nothing"],
  ["redis:channel", "a channel keeps nothing"],
  ["redis:key", "a key has one value, and not those before"],
  ["mqtt:live", "a topic with quality 0 keeps nothing"],
  ["mqtt:topic", "a topic's broker forgets what was acknowledged"],
  ["rabbitmq:queue", "a queue forgets what was acknowledged"],
  ["rabbitmq:exchange", "an exchange's queue forgets what was acknowledged"],
  ["activemq:queue", "a queue forgets what was acknowledged"],
  ["activemq:topic", "a subscription forgets what was acknowledged"],
  ["amqp10:queue", "a queue forgets what was acknowledged"],
  ["amqp10:topic", "a subscription forgets what was acknowledged"],
  ["jms:queue", "a queue forgets what was acknowledged"],
  ["jms:topic", "a subscription forgets what was acknowledged"],
  ["postgres:outbox", "an outbox's rows are gone once they were read"],
  ["postgres:cdc", "a slot forgets what was confirmed"],
  ["grpc:method", "a service need not say again what it said"],
  ["mem:queue", "a queue in memory forgets what was taken"],
  ["memredis:channel", "a channel keeps nothing"],
  ["grpc+listen:listen", "who publishes forgets what was acknowledged"],
]);

/** Schemes of sinks whose messages have no key. */
const KEYLESS: ReadonlySet<string> = new Set(["activemq", "amqp10", "jms", "s3", "grpc", "mem", "memredis"]);

/** Kinds of sinks that write each row under a key, and what is said of one that has none. */
const KEYED: ReadonlyMap<string, string> = new Map([
  ["kv", "a key-value bucket needs"],
  ["key", "keys of Redis need"],
]);

export const isBroker = (scheme: string): boolean => PARSERS.has(scheme);

/** Secrets are put in when the connection is opened; until then they are some text. */
const withoutSecrets = (address: string): string => address.replace(/\$\{(?:env|file):[^}]*\}/g, "secret");

/** Reports what is wrong with a source that reads from a broker, and which keys it cannot honour, and why. */
export function checkBrokerSource(node: DraftNode, target: Target, problems: ProblemList): void {
  const kind = kindOf(node, "from", target, problems);
  if (kind === undefined) return;
  forbid(node, ["follow"], "a broker's messages are always followed", problems);
  checkFormat(node, target, problems);
  const why = ONCE.get(`${target.scheme}:${kind}`);
  if (why !== undefined) forbidSpeed(node, why, problems);
  // What a module of the graph's own turns out to be is known when it is opened.
  else if (target.scheme !== "custom") forbidIdle(node, problems);
}

export function checkBrokerSink(node: DraftNode, target: Target, problems: ProblemList): void {
  const kind = kindOf(node, "to", target, problems);
  checkFormat(node, target, problems);
  const keyed = kind === undefined ? undefined : KEYED.get(kind);
  if (keyed !== undefined && node.list("key").length !== 1)
    problems.add("GRAPH-SCHEMA", ["nodes", node.name], `${keyed} \`key\` with one field`, "key");
  if (KEYLESS.has(target.scheme) && node.has("key"))
    problems.add(
      "GRAPH-SCHEMA",
      ["nodes", node.name, "key"],
      `\`key\`: a message for ${target.scheme}: has none`,
      "key",
    );
  else if (kind === "topic" && node.list("key").length > 1)
    problems.add("GRAPH-SCHEMA", ["nodes", node.name, "key"], "a topic takes `key` with one field", "key");
  if (target.scheme === "rabbitmq" && node.has("key")) checkRoutingKey(node, kind, target, problems);
}

/** Objects are read as files are, but a prefix has no extension, so the address says in which format. */
function checkFormat(node: DraftNode, { scheme }: Target, problems: ProblemList): void {
  const format = node.text("format");
  if (scheme !== "s3" || format === undefined || format === "cloudevents") return;
  forbid(node, ["format"], `write \`format=${format}\` in the address`, problems);
}

function checkRoutingKey(node: DraftNode, kind: string | undefined, { address }: Target, problems: ProblemList): void {
  const isFixed = kind === "queue" || /[?&]key=/.test(address);
  if (!isFixed && node.list("key").length === 1) return;
  const message = isFixed
    ? "`key`: the address says the routing key already"
    : "an exchange takes `key` with one field, which holds the routing key";
  problems.add("GRAPH-SCHEMA", ["nodes", node.name, "key"], message, "key");
}

/** `undefined` for what is no broker's, or was reported. */
function kindOf(
  node: DraftNode,
  key: "from" | "to",
  { scheme, address }: Target,
  problems: ProblemList,
): string | undefined {
  const parsed = PARSERS.get(scheme)?.(withoutSecrets(address), key === "from" ? "source" : "sink");
  if (parsed === undefined) return undefined;
  if ("kind" in parsed) return parsed.kind;
  problems.add("GRAPH-SCHEMA", ["nodes", node.name, key], `\`${scheme}:${address}\`: ${parsed.fault}`);
  return undefined;
}

function forbid(node: DraftNode, keys: readonly string[], why: string, problems: ProblemList): void {
  for (const key of keys)
    if (node.has(key)) problems.add("GRAPH-CAP", ["nodes", node.name, key], `\`${key}\`: ${why}`, "key");
}
