/** Which module writes to a broker or a database, by the scheme of its address; loaded when a graph names it. */
import {
  type JmsDefinition,
  type Place,
  parseActivemqAddress,
  parseAmqp10Address,
  parseGrpcAddress,
  parseJmsAddress,
  parseKafkaAddress,
  parseMemAddress,
  parseMemredisAddress,
  parseMqttAddress,
  parseMysqlAddress,
  parseNatsAddress,
  parsePostgresAddress,
  parseRabbitmqAddress,
  parseRedisAddress,
  parseS3Address,
  parseSqliteAddress,
  type SinkConnector,
  type SinkGrpcDefinition,
} from "@millrace/engine";
import type { MessageEncoder } from "@millrace/streams/format";
import { opsError } from "../errors.ts";
import { addressOf } from "./broker-address.ts";
import { certificates, tlsOf } from "./certificates.ts";
import type { CompileContext } from "./compile-context.ts";
import { customSink } from "./custom-connector.ts";
import { grpcSinkOptions } from "./grpc-options.ts";
import { jmsOptionsOf } from "./jms-bridge.ts";

export interface SinkScope {
  /** Of the node's stream: what was written is told apart by it. */
  readonly id: string;
  /** The fields that name a row; of a broker's message the first one is its key. Empty: none. */
  readonly keys: readonly string[];
  readonly context: CompileContext;
  readonly place: Place;
  /** How rows become the bytes of messages: a function that makes what does it, given the name of what is written to. */
  readonly encoder: (target: string) => Promise<() => MessageEncoder | undefined>;
  readonly grpc?: SinkGrpcDefinition | undefined;
  readonly jms?: JmsDefinition | undefined;
  /** The place of a key of the node. */
  readonly placeOf: (...keys: readonly string[]) => Place;
}

/** A function that makes the connector: each incarnation has its own. @throws HOST-CONNECTOR */
type OpenSink = (address: string, scope: SinkScope) => Promise<() => SinkConnector>;

export const BROKER_SINKS: ReadonlyMap<string, OpenSink> = new Map<string, OpenSink>([
  ["kafka", kafka],
  ["nats", nats],
  ["redis", redis],
  ["postgres", postgres],
  ["mysql", mysql],
  ["mqtt", mqtt],
  ["rabbitmq", rabbitmq],
  ["activemq", activemq],
  ["amqp10", amqp10],
  ["jms", jms],
  ["s3", s3],
  ["sqlite", sqlite],
  ["grpc", grpc],
  ["mem", mem],
  ["memredis", memredis],
  ["custom", customSink],
]);

async function kafka(address: string, { id, keys, context, place, encoder }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseKafkaAddress, "sink", context, place);
  const { kafkaSink } = await import("@millrace/streams/kafka");
  const { nativeKeys, nativeZstd } = await import("@millrace/native");
  const ca = certificates(parsed.options.get("ca"), context, place);
  const options = { id, ca, zstd: nativeZstd(), kernel: nativeKeys(), ...keyOf(keys) };
  const format = await encoder(parsed.topic);
  return () => kafkaSink(parsed, { ...options, format: format() }, env, resilience);
}

async function nats(address: string, { id, keys, context, place, encoder }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience } = context.options;
  const parsed = addressOf(address, parseNatsAddress, "sink", context, place);
  const { natsSink } = await import("@millrace/streams/nats");
  const tls = tlsOf(parsed.options, context, place);
  const format = await encoder(parsed.target);
  return () => natsSink(parsed, { id, format: format(), tls, ...keyOf(keys) }, env, resilience);
}

async function redis(address: string, { id, keys, context, place, encoder }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseRedisAddress, "sink", context, place);
  const { redisSink } = await import("@millrace/streams/redis");
  const tls = tlsOf(parsed.options, context, place);
  const format = await encoder(parsed.target);
  return () => redisSink(parsed, id, env, { policy, tls, format: format(), ...keyOf(keys) });
}

async function postgres(address: string, { id, keys, context, place }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parsePostgresAddress, "sink", context, place);
  const { postgresSink } = await import("@millrace/streams/postgres");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return () => postgresSink(parsed, { id, key: keys, policy, ca }, env);
}

async function mysql(address: string, { id, keys, context, place }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseMysqlAddress, "sink", context, place);
  const { mysqlSink } = await import("@millrace/streams/mysql");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return () => mysqlSink(parsed, { id, key: keys, policy, ca }, env);
}

async function mqtt(address: string, { id, context, place, encoder }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseMqttAddress, "sink", context, place);
  const { mqttSink } = await import("@millrace/streams/mqtt");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy };
  const format = await encoder(parsed.target);
  return () => mqttSink(parsed, env, { ...options, format: format() });
}

async function rabbitmq(
  address: string,
  { id, keys, context, place, encoder }: SinkScope,
): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseRabbitmqAddress, "sink", context, place);
  const { rabbitmqSink } = await import("@millrace/streams/rabbitmq");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy, key: keys[0] };
  const format = await encoder(parsed.target);
  return () => rabbitmqSink(parsed, env, { ...options, format: format() });
}

async function activemq(address: string, { id, context, place, encoder }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseActivemqAddress, "sink", context, place);
  const { activemqSink } = await import("@millrace/streams/activemq");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy };
  const format = await encoder(parsed.target);
  return () => activemqSink(parsed, env, { ...options, format: format() });
}

async function amqp10(address: string, { id, context, place, encoder }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseAmqp10Address, "sink", context, place);
  const { amqp10Sink } = await import("@millrace/streams/amqp10");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy };
  const format = await encoder(parsed.target);
  return () => amqp10Sink(parsed, env, { ...options, format: format() });
}

async function jms(
  address: string,
  { id, context, place, placeOf, encoder, jms: client }: SinkScope,
): Promise<() => SinkConnector> {
  const { env } = context.options;
  const parsed = addressOf(address, parseJmsAddress, "sink", context, place);
  const { jmsSink } = await import("@millrace/streams/jms");
  const options = await jmsOptionsOf(id, parsed, client, context, placeOf);
  const format = await encoder(parsed.target);
  return () => jmsSink(parsed, env, { ...options, format: format() });
}

async function s3(address: string, { id, context, place }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseS3Address, "sink", context, place);
  const { s3Sink } = await import("@millrace/streams/s3");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return () => s3Sink(parsed, { id, policy, ca }, env);
}

async function sqlite(address: string, { id, keys, context, place }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseSqliteAddress, "sink", context, place);
  const { sqliteSink } = await import("@millrace/streams/sqlite");
  const target = { ...parsed, path: context.path(parsed.path) };
  return () => sqliteSink(target, { id, key: keys, policy }, env);
}

async function grpc(
  address: string,
  { id, context, place, placeOf, grpc: call }: SinkScope,
): Promise<() => SinkConnector> {
  const { env } = context.options;
  const parsed = addressOf(address, parseGrpcAddress, "sink", context, place);
  // The graph's check has seen to it that it is there.
  if (call === undefined) throw opsError("HOST-CONNECTOR", "the node does not say how it calls the method", { place });
  const { grpcSink } = await import("@millrace/streams/grpc");
  return grpcSink(parsed, env, await grpcSinkOptions(call, id, { address: parsed, context, place, placeOf }));
}

async function mem(address: string, { id, context, place }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const { name } = addressOf(address, parseMemAddress, "sink", context, place);
  const { memorySink } = await import("@millrace/streams/memory");
  const queue = await context.memory.queue(name);
  return () => memorySink(queue, { id, policy }, env);
}

async function memredis(address: string, { id, context, place }: SinkScope): Promise<() => SinkConnector> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseMemredisAddress, "sink", context, place);
  const { memredisSink } = await import("@millrace/streams/memory");
  const redis = await context.memory.redis(env);
  return () => memredisSink(parsed, id, redis, env, { policy });
}

function keyOf([key]: readonly string[]): { readonly key?: string } {
  return key === undefined ? {} : { key };
}
