import {
  feedSource,
  httpPush,
  metronome,
  payloadSource,
  personalFeed,
  personalSource,
  telemetry,
} from "@millrace/actors";
import {
  type AnyNodeModel,
  type CommittedNode,
  durationMs,
  type Env,
  type Feed,
  type HostProbe,
  type PayloadFormat,
  type Place,
  parseKafkaAddress,
  parseMqttAddress,
  parseMysqlAddress,
  parseNatsAddress,
  parsePostgresAddress,
  parseRabbitmqAddress,
  parseRedisAddress,
  parseTarget,
  type SourceConnector,
  type SourceNode,
  streamOf,
} from "@millrace/engine";
import type { FileSourceOptions } from "@millrace/streams/file";
import { opsError } from "../errors.ts";
import { addressOf } from "./broker-address.ts";
import { certificates, tlsOf } from "./certificates.ts";
import type { CompileContext } from "./compile-context.ts";
import { webhookKeys } from "./webhook-keys.ts";

type SourceModel = Extract<AnyNodeModel, { kind: "source" }>;

export async function compileSource(node: SourceModel, context: CompileContext): Promise<SourceNode | CommittedNode> {
  const { name, definition } = node;
  const { scheme, address } = parseTarget(definition.from) ?? { scheme: "", address: "" };
  const { env } = context.options;
  const place = context.place(name, "from");
  switch (scheme) {
    case "file":
      return compileFileSource(node, address, context);
    case "http":
      // Sealed as they are pushed; here it only shows whether that can be.
      context.personal(name);
      requireSigned(node, context);
      return { role: "committed", isSource: true, make: () => httpPush() };
    case "metronome":
      return { role: "committed", isSource: true, make: () => metronome({ everyMs: durationMs(address) }, env) };
    case "cron":
      return { role: "committed", isSource: true, make: () => metronome({ cron: address.trim() }, env) };
    case "telemetry":
      return compileTelemetry(env);
    case "redis":
      return compileRedisSource(node, address, context, place);
    case "kafka":
      return compileKafkaSource(node, address, context, place);
    case "postgres":
      return compilePostgresSource(node, address, context, place);
    case "mysql":
      return compileMysqlSource(node, address, context, place);
    case "nats":
      return compileNatsSource(node, address, context, place);
    case "mqtt":
      return compileMqttSource(node, address, context, place);
    case "rabbitmq":
      return compileRabbitmqSource(node, address, context, place);
    default:
      throw opsError("HOST-CONNECTOR", `no source for ${scheme}: is part of this host`, { place });
  }
}

function requireSigned({ name, definition: { secret } }: SourceModel, context: CompileContext): void {
  if (secret !== undefined) context.pushKeys.set(name, webhookKeys(secret, context, context.place(name, "secret")));
}

async function compileTelemetry(env: Env): Promise<CommittedNode> {
  const { machineProbe } = await import("@millrace/streams/host");
  return {
    role: "committed",
    isSource: true,
    make: () => telemetry({ probe: lateProbe(() => machineProbe(env)) }, env),
  };
}

/** A probe watches the event loop from its making on; behaviors are also made only to be looked at. */
function lateProbe(open: () => HostProbe): HostProbe {
  let probe: HostProbe | undefined;
  return {
    sample() {
      probe ??= open();
      return probe.sample();
    },
    close: () => probe?.close(),
  };
}

async function compileFileSource(node: SourceModel, address: string, context: CompileContext): Promise<SourceNode> {
  const { format, follow } = node.definition;
  const connector = await fileConnector(
    { path: context.path(address), ...(format === undefined ? {} : { format }), follow: follow === true },
    context.options.env,
    context.place(node.name, "from"),
  );
  return sourceNode(node, connector, context);
}

async function compileKafkaSource(
  node: SourceModel,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<SourceNode> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseKafkaAddress, "source", context, place);
  const { kafkaSource } = await import("@millrace/streams/kafka");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return sourceNode(node, kafkaSource(parsed, env, { policy: resilience, ca }), context);
}

async function compileNatsSource(
  node: SourceModel,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<SourceNode | CommittedNode> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseNatsAddress, "source", context, place);
  const { natsFeed, natsSource } = await import("@millrace/streams/nats");
  if (parsed.kind !== "core") return sourceNode(node, natsSource(parsed, env, { policy: resilience }), context);
  return {
    role: "committed",
    isSource: true,
    make: () => feedSource(feedOf(node, natsFeed(parsed, env, resilience), context)),
  };
}

async function compileRedisSource(
  node: SourceModel,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<SourceNode | CommittedNode> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseRedisAddress, "source", context, place);
  const { redisFeed, redisSource } = await import("@millrace/streams/redis");
  if (parsed.kind === "stream") return sourceNode(node, redisSource(parsed, env, { policy: resilience }), context);
  return {
    role: "committed",
    isSource: true,
    make: () => feedSource(feedOf(node, redisFeed(parsed, env, resilience), context)),
  };
}

async function compilePostgresSource(
  node: SourceModel,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<SourceNode | CommittedNode> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parsePostgresAddress, "source", context, place);
  const { postgresFeed, postgresSource } = await import("@millrace/streams/postgres");
  const options = { policy: resilience, ca: certificates(parsed.options.get("ca"), context, place) };
  if (parsed.kind === "table") return sourceNode(node, postgresSource(parsed, env, options), context);
  return {
    role: "committed",
    isSource: true,
    make: () => feedSource(feedOf(node, postgresFeed(parsed, env, options), context)),
  };
}

async function compileMysqlSource(
  node: SourceModel,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<SourceNode> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseMysqlAddress, "source", context, place);
  const { mysqlSource } = await import("@millrace/streams/mysql");
  const options = { policy: resilience, ca: certificates(parsed.options.get("ca"), context, place) };
  return sourceNode(node, mysqlSource(parsed, env, options), context);
}

async function compileMqttSource(
  node: SourceModel,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<CommittedNode> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseMqttAddress, "source", context, place);
  const { mqttFeed } = await import("@millrace/streams/mqtt");
  const id = streamOf(context.model.name, node.name);
  const options = { id, tls: tlsOf(parsed.options, context, place), policy: resilience };
  return {
    role: "committed",
    isSource: true,
    make: () => feedSource(feedOf(node, mqttFeed(parsed, env, options), context)),
  };
}

async function compileRabbitmqSource(
  node: SourceModel,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<CommittedNode> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseRabbitmqAddress, "source", context, place);
  const { rabbitmqFeed } = await import("@millrace/streams/rabbitmq");
  const id = streamOf(context.model.name, node.name);
  const options = { id, tls: tlsOf(parsed.options, context, place), policy: resilience };
  return { role: "committed", isSource: true, make: () => feedSource(rabbitmqFeed(parsed, env, options)) };
}

function sourceNode(
  { name, definition, timeField }: SourceModel,
  plain: SourceConnector,
  context: CompileContext,
): SourceNode {
  const { watermark, batch, payload } = definition;
  const personal = context.personal(name);
  const sealed = personal === undefined ? plain : personalSource(plain, personal);
  const connector = payload === undefined ? sealed : withPayloads(sealed, name, payload, context);
  const speed = context.options.speed ?? definition.speed;
  const boundMs = watermark === undefined ? 0 : durationMs(watermark);
  return {
    role: "source",
    connector,
    ...(timeField === undefined ? {} : { eventTime: { field: timeField, boundMs } }),
    ...(speed === undefined || timeField === undefined ? {} : { speed }),
    ...(batch === undefined ? {} : { frameMessagesMax: batch }),
  };
}

function feedOf({ name }: SourceModel, feed: Feed, context: CompileContext): Feed {
  const personal = context.personal(name);
  return personal === undefined ? feed : personalFeed(feed, personal, context.options.env.random);
}

function withPayloads(
  connector: SourceConnector,
  node: string,
  fields: Readonly<Record<string, PayloadFormat>>,
  context: CompileContext,
): SourceConnector {
  const { payloads } = context.options;
  const intake = context.intake(node);
  if (payloads === undefined || intake === undefined) return connector;
  return payloadSource(connector, { exchange: () => payloads.exchange, intake, fields });
}

/** Reads a file whose format the address names, or the definition says. @throws HOST-CONNECTOR */
export async function fileConnector(options: FileSourceOptions, env: Env, place: Place): Promise<SourceConnector> {
  const { fileSource } = await import("@millrace/streams/file");
  const connector = fileSource(options, env);
  if (connector === undefined)
    throw opsError("HOST-CONNECTOR", `the format of ${options.path} is not known`, { place });
  return connector;
}
