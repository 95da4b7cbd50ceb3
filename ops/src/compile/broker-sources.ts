/** Which module reads a broker or a database, by the scheme of its address; loaded when a graph names it. */
import {
  type Feed,
  type JmsDefinition,
  type Place,
  parseActivemqAddress,
  parseAmqp10Address,
  parseGrpcAddress,
  parseGrpcListenAddress,
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
  type SourceConnector,
  type SourceDefinition,
  type SourceGrpcDefinition,
} from "@millrace/engine";
import type { MessageDecoder } from "@millrace/streams/format";
import { opsError } from "../errors.ts";
import { addressOf } from "./broker-address.ts";
import { certificates, tlsOf } from "./certificates.ts";
import type { CompileContext } from "./compile-context.ts";
import { customSource } from "./custom-connector.ts";
import { grpcFeedOptions, servingTlsOf } from "./grpc-options.ts";
import { jmsOptionsOf } from "./jms-bridge.ts";

/** Where a source is: in which graph, and under which name its consumers are known to the broker. */
export interface SourceScope {
  readonly id: string;
  readonly context: CompileContext;
  readonly place: Place;
  /** How the bytes of messages become rows: a function that makes what does it. */
  readonly decoder: () => Promise<() => MessageDecoder | undefined>;
  readonly grpc?: SourceGrpcDefinition | undefined;
  readonly jms?: JmsDefinition | undefined;
  readonly types?: SourceDefinition["types"] | undefined;
  /** The place of a key of the node. */
  readonly placeOf: (...keys: readonly string[]) => Place;
}

/** Read by a cursor of ours, or fed by a broker that waits for receipts. */
export type BrokerSource = { readonly connector: SourceConnector } | FedSource;

export interface FedSource {
  /** Each incarnation has a feed of its own. */
  readonly feed: () => Feed;
  /** The feed comes to an end. Default false. */
  readonly isBounded?: boolean;
}

/** @throws HOST-CONNECTOR what the address says cannot be used */
type OpenSource = (address: string, scope: SourceScope) => Promise<BrokerSource>;

export const BROKER_SOURCES: ReadonlyMap<string, OpenSource> = new Map<string, OpenSource>([
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
  ["grpc+listen", grpcListen],
  ["mem", mem],
  ["memredis", memredis],
  ["custom", customSource],
]);

async function kafka(address: string, { context, place, decoder }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseKafkaAddress, "source", context, place);
  const { kafkaSource } = await import("@millrace/streams/kafka");
  const { nativeZstd } = await import("@millrace/native");
  const ca = certificates(parsed.options.get("ca"), context, place);
  const format = await decoder();
  return { connector: kafkaSource(parsed, env, { policy, ca, format: format(), zstd: nativeZstd() }) };
}

async function nats(address: string, { context, place, decoder }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseNatsAddress, "source", context, place);
  const { natsFeed, natsSource } = await import("@millrace/streams/nats");
  const tls = tlsOf(parsed.options, context, place);
  const format = await decoder();
  if (parsed.kind !== "core") return { connector: natsSource(parsed, env, { policy, tls, format: format() }) };
  return { feed: () => natsFeed(parsed, env, { policy, tls, format: format() }) };
}

async function redis(address: string, { context, place, decoder }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseRedisAddress, "source", context, place);
  const { redisFeed, redisSource } = await import("@millrace/streams/redis");
  const tls = tlsOf(parsed.options, context, place);
  const format = await decoder();
  if (parsed.kind === "stream") return { connector: redisSource(parsed, env, { policy, tls, format: format() }) };
  return {
    feed: () => redisFeed(parsed, env, { policy, tls, format: format() }),
    isBounded: parsed.options.get("until") === "now",
  };
}

async function postgres(address: string, { context, place }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parsePostgresAddress, "source", context, place);
  const { postgresFeed, postgresSource } = await import("@millrace/streams/postgres");
  const options = { policy, ca: certificates(parsed.options.get("ca"), context, place) };
  if (parsed.kind === "table") return { connector: postgresSource(parsed, env, options) };
  return { feed: () => postgresFeed(parsed, env, options), isBounded: parsed.options.get("until") === "now" };
}

async function mysql(address: string, { context, place }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseMysqlAddress, "source", context, place);
  const { mysqlSource } = await import("@millrace/streams/mysql");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return { connector: mysqlSource(parsed, env, { policy, ca }) };
}

async function mqtt(address: string, { id, context, place, decoder }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseMqttAddress, "source", context, place);
  const { mqttFeed } = await import("@millrace/streams/mqtt");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy };
  const format = await decoder();
  return { feed: () => mqttFeed(parsed, env, { ...options, format: format() }) };
}

async function rabbitmq(address: string, { id, context, place, decoder }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseRabbitmqAddress, "source", context, place);
  const { rabbitmqFeed, rabbitmqSource } = await import("@millrace/streams/rabbitmq");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy };
  const format = await decoder();
  if (parsed.kind === "stream") return { connector: rabbitmqSource(parsed, env, { ...options, format: format() }) };
  return { feed: () => rabbitmqFeed(parsed, env, { ...options, format: format() }) };
}

async function activemq(address: string, { id, context, place, decoder }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseActivemqAddress, "source", context, place);
  const { activemqFeed } = await import("@millrace/streams/activemq");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy };
  const format = await decoder();
  return { feed: () => activemqFeed(parsed, env, { ...options, format: format() }) };
}

async function amqp10(address: string, { id, context, place, decoder }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseAmqp10Address, "source", context, place);
  const { amqp10Feed } = await import("@millrace/streams/amqp10");
  const options = { id, tls: tlsOf(parsed.options, context, place), policy };
  const format = await decoder();
  return { feed: () => amqp10Feed(parsed, env, { ...options, format: format() }) };
}

async function jms(
  address: string,
  { id, context, place, placeOf, decoder, jms: client }: SourceScope,
): Promise<BrokerSource> {
  const { env } = context.options;
  const parsed = addressOf(address, parseJmsAddress, "source", context, place);
  const { jmsFeed } = await import("@millrace/streams/jms");
  const options = await jmsOptionsOf(id, parsed, client, context, placeOf);
  const format = await decoder();
  return { feed: () => jmsFeed(parsed, env, { ...options, format: format() }) };
}

async function s3(address: string, { context, place, types }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseS3Address, "source", context, place);
  const { s3Source } = await import("@millrace/streams/s3");
  const { nativeText } = await import("@millrace/native");
  const ca = certificates(parsed.options.get("ca"), context, place);
  return { connector: s3Source(parsed, env, { policy, ca, types, kernels: nativeText() }) };
}

async function sqlite(address: string, { context, place }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseSqliteAddress, "source", context, place);
  const { sqliteSource } = await import("@millrace/streams/sqlite");
  return { connector: sqliteSource({ ...parsed, path: context.path(parsed.path) }, env, { policy }) };
}

async function grpc(address: string, { context, place, placeOf, grpc: call }: SourceScope): Promise<BrokerSource> {
  const { env } = context.options;
  const parsed = addressOf(address, parseGrpcAddress, "source", context, place);
  // The graph's check has seen to it that it is there.
  if (call === undefined) throw opsError("HOST-CONNECTOR", "the node does not say how it calls the method", { place });
  const { grpcFeed } = await import("@millrace/streams/grpc");
  const feed = grpcFeed(parsed, env, await grpcFeedOptions(call, { address: parsed, context, place, placeOf }));
  return { feed, isBounded: parsed.options.get("until") === "end" };
}

async function grpcListen(address: string, { context, place }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseGrpcListenAddress, "source", context, place);
  const { intakeFeed } = await import("@millrace/streams/grpc");
  const options = { tls: servingTlsOf(parsed, context, place), policy };
  return { feed: () => intakeFeed(parsed, env, options) };
}

async function mem(address: string, { context, place }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const { name } = addressOf(address, parseMemAddress, "source", context, place);
  const { memoryFeed } = await import("@millrace/streams/memory");
  const queue = await context.memory.queue(name);
  return { feed: () => memoryFeed(queue, env, { policy }) };
}

async function memredis(address: string, { context, place }: SourceScope): Promise<BrokerSource> {
  const { env, resilience: policy } = context.options;
  const parsed = addressOf(address, parseMemredisAddress, "source", context, place);
  const { memredisFeed, memredisSource } = await import("@millrace/streams/memory");
  const redis = await context.memory.redis(env);
  if (parsed.kind === "channel") return { feed: () => memredisFeed(parsed, redis, env, { policy }) };
  return { connector: memredisSource(parsed, redis, env, { policy }) };
}
