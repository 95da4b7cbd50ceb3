import { isAbsolute, relative, resolve } from "node:path";
import { connectorSink, discardSink, projectionSink, revealedSink, type SinkPayloads } from "@millrace/actors";
import {
  type AnyNodeModel,
  type CommittedNode,
  type Place,
  parseKafkaAddress,
  parseMqttAddress,
  parseMysqlAddress,
  parseNatsAddress,
  parsePostgresAddress,
  parseRabbitmqAddress,
  parseRedisAddress,
  parseTarget,
  type SinkConnector,
  streamOf,
} from "@millrace/engine";
import { opsError } from "../errors.ts";
import { addressOf } from "./broker-address.ts";
import { certificates, tlsOf } from "./certificates.ts";
import type { CompileContext } from "./compile-context.ts";
import { withSecrets } from "./secrets.ts";
import { webhookKeys } from "./webhook-keys.ts";

type SinkModel = Extract<AnyNodeModel, { kind: "sink" }>;

export async function compileSink(node: SinkModel, context: CompileContext): Promise<CommittedNode> {
  const { name, definition } = node;
  const { scheme, address } = parseTarget(definition.to) ?? { scheme: "", address: "" };
  const place = context.place(name, "to");
  switch (scheme) {
    case "projection": {
      const key = definition.key ?? [];
      context.projections.push({ name: address, key, streams: [streamOf(context.model.name, name)] });
      return { role: "committed", isSink: true, make: () => projectionSink({ name: address, key }) };
    }
    case "discard":
      return { role: "committed", isSink: true, make: discardSink };
    default: {
      const payloads = payloadsLeaving(scheme, context);
      const sealed = await sinkConnector(node, scheme, address, context, place);
      const keys = definition.reveal === true ? context.keys(context.place(name, "reveal")) : undefined;
      const connector = keys === undefined ? sealed : () => revealedSink(sealed(), keys.reveal);
      return { role: "committed", isSink: true, make: () => connectorSink(connector(), payloads) };
    }
  }
}

const MIB = 1024 * 1024;

/** Largest payload that leaves by a scheme, as base64 within what its targets take by default. */
const PAYLOAD_BYTES_MAX: Readonly<Record<string, number>> = {
  nats: 0.7 * MIB,
  redis: 256 * MIB,
  // The broker takes messages of up to 128 MiB.
  rabbitmq: 90 * MIB,
  http: 64 * MIB,
  https: 64 * MIB,
};
/** Files and standard output take what a string can be. */
const PAYLOAD_BYTES_MAX_ELSE = 256 * MIB;

function payloadsLeaving(scheme: string, { options: { payloads } }: CompileContext): SinkPayloads | undefined {
  if (payloads === undefined) return undefined;
  return {
    bytesMax: Math.floor(PAYLOAD_BYTES_MAX[scheme] ?? PAYLOAD_BYTES_MAX_ELSE),
    get exchange() {
      return payloads.exchange;
    },
  };
}

/** A function that makes the connector: each incarnation has its own. */
async function sinkConnector(
  { name, definition }: SinkModel,
  scheme: string,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  if (scheme === "file") {
    const { fileSink } = await import("@millrace/streams/file");
    const path = outPath(address, context, place);
    const format =
      (definition.format ?? (address.toLowerCase().endsWith(".csv") ? "csv" : "ndjson")) === "csv" ? "csv" : "ndjson";
    return () => fileSink({ path, format });
  }
  if (scheme === "http" || scheme === "https") {
    const { webhookSink } = await import("@millrace/streams/http");
    const url = withSecrets(`${scheme}:${address}`, context, place);
    const { secret } = definition;
    if (secret === undefined) return () => webhookSink({ url });
    const keys = webhookKeys(secret, context, context.place(name, "secret"));
    const signing = { keys, id: streamOf(context.model.name, name), clock: context.options.env.clock };
    return () => webhookSink({ url, signing });
  }
  if (scheme === "kafka")
    return kafkaConnector(streamOf(context.model.name, name), definition.key, address, context, place);
  if (scheme === "nats")
    return natsConnector(streamOf(context.model.name, name), definition.key, address, context, place);
  if (scheme === "redis") return redisConnector(streamOf(context.model.name, name), address, context, place);
  if (scheme === "postgres")
    return postgresConnector(streamOf(context.model.name, name), definition.key ?? [], address, context, place);
  if (scheme === "mysql")
    return mysqlConnector(streamOf(context.model.name, name), definition.key ?? [], address, context, place);
  if (scheme === "mqtt") return mqttConnector(streamOf(context.model.name, name), address, context, place);
  if (scheme === "rabbitmq")
    return rabbitmqConnector(streamOf(context.model.name, name), definition.key, address, context, place);
  if (scheme === "stdout") {
    const { stdoutSink } = await import("./stdout-sink.ts");
    return stdoutSink;
  }
  throw opsError("HOST-CONNECTOR", `no sink for ${scheme}: is part of this host`, { place });
}

async function kafkaConnector(
  id: string,
  keys: readonly string[] | undefined,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseKafkaAddress, "sink", context, place);
  const { kafkaSink } = await import("@millrace/streams/kafka");
  const ca = certificates(parsed.options.get("ca"), context, place);
  const key = keys?.[0];
  return () => kafkaSink(parsed, { id, ca, ...(key === undefined ? {} : { key }) }, env, resilience);
}

async function natsConnector(
  id: string,
  keys: readonly string[] | undefined,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseNatsAddress, "sink", context, place);
  const { natsSink } = await import("@millrace/streams/nats");
  const key = keys?.[0];
  return () => natsSink(parsed, { id, ...(key === undefined ? {} : { key }) }, env, resilience);
}

async function redisConnector(
  id: string,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseRedisAddress, "sink", context, place);
  const { redisSink } = await import("@millrace/streams/redis");
  return () => redisSink(parsed, id, env, resilience);
}

async function postgresConnector(
  id: string,
  key: readonly string[],
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parsePostgresAddress, "sink", context, place);
  const { postgresSink } = await import("@millrace/streams/postgres");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return () => postgresSink(parsed, { id, key, policy: resilience, ca }, env);
}

async function mysqlConnector(
  id: string,
  key: readonly string[],
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseMysqlAddress, "sink", context, place);
  const { mysqlSink } = await import("@millrace/streams/mysql");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return () => mysqlSink(parsed, { id, key, policy: resilience, ca }, env);
}

async function mqttConnector(
  id: string,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseMqttAddress, "sink", context, place);
  const { mqttSink } = await import("@millrace/streams/mqtt");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy: resilience };
  return () => mqttSink(parsed, env, options);
}

async function rabbitmqConnector(
  id: string,
  keys: readonly string[] | undefined,
  address: string,
  context: CompileContext,
  place: Place,
): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseRabbitmqAddress, "sink", context, place);
  const { rabbitmqSink } = await import("@millrace/streams/rabbitmq");
  const options = { id, key: keys?.[0], tls: tlsOf(parsed.options, context, place), policy: resilience };
  return () => rabbitmqSink(parsed, env, options);
}

/** Two data directories must not write one file, so relative addresses lie in the data directory. */
function outPath(address: string, context: CompileContext, place: Place): string {
  const { out } = context.options;
  const path = resolve(out, address);
  if (!isAbsolute(address) && relative(out, path).startsWith(".."))
    throw opsError("HOST-PATH", `\`${address}\` leaves the output folder of the data directory`, { place });
  return path;
}
