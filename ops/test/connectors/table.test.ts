/** The table of connectors in ops/docs/connectors.md says what the code declares. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ActivemqAddress,
  type Amqp10Address,
  type Feed,
  type GrpcAddress,
  type GrpcListenAddress,
  type JmsAddress,
  type KafkaAddress,
  type MemredisAddress,
  type MqttAddress,
  type NatsAddress,
  parseActivemqAddress,
  parseAmqp10Address,
  parseGraph,
  parseGrpcAddress,
  parseGrpcListenAddress,
  parseJmsAddress,
  parseKafkaAddress,
  parseMemredisAddress,
  parseMqttAddress,
  parseMysqlAddress,
  parseNatsAddress,
  parsePostgresAddress,
  parseRabbitmqAddress,
  parseRedisAddress,
  parseS3Address,
  parseSqliteAddress,
  type RabbitmqAddress,
  type RedisAddress,
  type S3Address,
  type SinkConnector,
  type SourceConnector,
  type SqlAddress,
  type SqliteAddress,
  systemEnv,
} from "@millrace/engine";
import { activemqFeed, activemqSink } from "@millrace/streams/activemq";
import { amqp10Feed, amqp10Sink } from "@millrace/streams/amqp10";
import { type GrpcFeedOptions, grpcFeed, grpcSink, intakeFeed, serviceMethod } from "@millrace/streams/grpc";
import { eventStreamFeed, pollFeed, socketFeed, socketSink, webhookSink } from "@millrace/streams/http";
import { jmsFeed, jmsSink } from "@millrace/streams/jms";
import { kafkaSink, kafkaSource } from "@millrace/streams/kafka";
import {
  MemoryQueues,
  MemoryRedis,
  memoryFeed,
  memorySink,
  memredisFeed,
  memredisSink,
  memredisSource,
} from "@millrace/streams/memory";
import { mqttFeed, mqttSink } from "@millrace/streams/mqtt";
import { mysqlSink, mysqlSource } from "@millrace/streams/mysql";
import { natsFeed, natsSink, natsSource } from "@millrace/streams/nats";
import { postgresFeed, postgresSink, postgresSource } from "@millrace/streams/postgres";
import { unixWorkers } from "@millrace/streams/process";
import { rabbitmqFeed, rabbitmqSink, rabbitmqSource } from "@millrace/streams/rabbitmq";
import { redisFeed, redisSink, redisSource } from "@millrace/streams/redis";
import { s3Sink, s3Source } from "@millrace/streams/s3";
import { sqliteSink, sqliteSource } from "@millrace/streams/sqlite";
import { expect, test } from "vitest";
import { ACTIVEMQ_VERSION } from "../../bin/activemq.mjs";
import { JAVAX_CLIENT_VERSION } from "../../bin/jms-client.mjs";
import { KAFKA_VERSIONS } from "../../bin/kafka.mjs";
import { GRPC_VERSION } from "../../bin/python-clients.mjs";
import { NATS_VERSION, S3_VERSION } from "../../bin/setup.mjs";

const env = systemEnv();
const DOCS = join(import.meta.dirname, "../../docs/connectors.md");
const HEAD = ["address", "as", "replay", "ordered", "can be paused", "nack", "ends", "delivers", "tested against"];
/** Versions that the suites beside this one were run against: Debian 12's, and the one that `ops/bin/setup.mjs` builds. */
const TESTED = "nats-server 2.9.10, 2.12.15";
const REDIS = "Redis 7.0.15";
const KAFKA = `Kafka ${KAFKA_VERSIONS.join(", ")}`;
const POSTGRES = "PostgreSQL 15.18";
const MARIADB = "MariaDB 10.11.19";
const SQLITE = "sqlite3 3.40.1";
const MQTT = "mosquitto 2.0.11";
const RABBITMQ = "RabbitMQ 3.10.8";
const ACTIVEMQ = `ActiveMQ ${ACTIVEMQ_VERSION}`;
const JMS = `${ACTIVEMQ} by its clients ${ACTIVEMQ_VERSION} (jakarta.jms), ${JAVAX_CLIENT_VERSION} (javax.jms)`;
const OF_SCHEME: ReadonlyMap<string, string> = new Map([
  ["redis", REDIS],
  ["kafka", KAFKA],
  ["mqtt", MQTT],
  ["rabbitmq", RABBITMQ],
  ["activemq", ACTIVEMQ],
  ["amqp10", `${ACTIVEMQ}, ${RABBITMQ}`],
  ["jms", JMS],
  ["postgres", POSTGRES],
  ["mysql", MARIADB],
  ["sqlite", SQLITE],
  ["s3", `versitygw ${S3_VERSION.slice(1)}`],
  ["grpc", `grpcio ${GRPC_VERSION}`],
  ["grpc+listen", `grpcio ${GRPC_VERSION}, Millrace's own`],
  ["https", "Node's HTTP server, standardwebhooks 1.1.1"],
  ["http", "Node's HTTP server"],
  ["sse+https", "Node's HTTP server, Millrace's own"],
  ["wss", "ws 8.23.0"],
  ["mem", "itself"],
  ["memredis", "itself"],
]);

function address(path: string, side: "source" | "sink"): NatsAddress {
  const parsed = parseNatsAddress(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

const inMemory = new MemoryRedis(env);

function memredisAddress(text: string, side: "source" | "sink"): MemredisAddress {
  const parsed = parseMemredisAddress(text, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function redisAddress(path: string, side: "source" | "sink"): RedisAddress {
  const parsed = parseRedisAddress(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function kafkaAddress(path: string, side: "source" | "sink"): KafkaAddress {
  const parsed = parseKafkaAddress(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function postgresAddress(path: string, side: "source" | "sink"): SqlAddress {
  const parsed = parsePostgresAddress(`//h/db${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function mysqlAddress(path: string, side: "source" | "sink"): SqlAddress {
  const parsed = parseMysqlAddress(`//h/db${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

const yes = (is: boolean | undefined): string => (is === true ? "yes" : "no");

const testedOf = (scheme: string): string => OF_SCHEME.get(scheme) ?? TESTED;

function mqttAddress(path: string, side: "source" | "sink" = "sink"): MqttAddress {
  const parsed = parseMqttAddress(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function rabbitmqAddress(path: string, side: "source" | "sink" = "sink"): RabbitmqAddress {
  const parsed = parseRabbitmqAddress(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function activemqAddress(path: string, side: "source" | "sink" = "sink"): ActivemqAddress {
  const parsed = parseActivemqAddress(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function amqp10Address(path: string, side: "source" | "sink" = "sink"): Amqp10Address {
  const parsed = parseAmqp10Address(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function jmsAddress(path: string, side: "source" | "sink" = "sink"): JmsAddress {
  const parsed = parseJmsAddress(`//h:1${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

/** Nothing is started for what it declares. */
const NO_CLIENT = {
  id: "g/s",
  clientAt: () => ({}),
  program: { command: { command: "java", args: [], env: {} }, launcher: unixWorkers(env) },
};

function sqliteAddress(options: string, side: "source" | "sink"): SqliteAddress {
  const parsed = parseSqliteAddress(`./shop.db?table=t${options}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function s3Address(options: string, side: "source" | "sink"): S3Address {
  const parsed = parseS3Address(`//bucket/prefix${options}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function grpcMethod() {
  const text = 'syntax = "proto3"; message A { string id = 1; string after = 2; } service S { rpc M(A) returns (A); }';
  return serviceMethod({ text, imported: () => undefined }, "S", "M", { description: {}, address: {} });
}

function grpcAddress(side: "source" | "sink"): GrpcAddress {
  const parsed = parseGrpcAddress("//h/S/M", side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

const grpcMethodSink = (): SinkConnector =>
  grpcSink(grpcAddress("sink"), env, { method: grpcMethod(), channel: {}, sink: "g/s" })();
const grpcMethodFeed = (options: Partial<GrpcFeedOptions>): Feed =>
  grpcFeed(grpcAddress("source"), env, { method: grpcMethod(), channel: {}, ...options })();

function listenAddress(): GrpcListenAddress {
  const parsed = parseGrpcListenAddress("//127.0.0.1:1");
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

/** A feed is no source connector: it cannot be read again, at most from its cursor. */
function feedRow(
  scheme: string,
  path: string,
  feed: Feed,
  { tested = testedOf(scheme), ends = "no", label = `\`${scheme}:\`` } = {},
): string[] {
  const { resume = false, ordered, pause, nack } = feed.capabilities ?? {};
  return [
    `${label} ${path}`,
    "source",
    resume ? "from its cursor" : "no",
    yes(ordered),
    yes(pause),
    yes(nack),
    ends,
    "",
    tested,
  ];
}

function sourceRow(scheme: string, path: string, source: SourceConnector, bounded: SourceConnector): string[] {
  const { replay, ordered, nack } = source.capabilities;
  const ends = bounded.capabilities.bounded && !source.capabilities.bounded ? "with `until=now`" : "no";
  return [`\`${scheme}:\` ${path}`, "source", yes(replay), yes(ordered), "yes", yes(nack), ends, "", testedOf(scheme)];
}

function sinkRow(scheme: string, path: string, { guarantee }: SinkConnector): string[] {
  const lesser: Partial<Record<typeof guarantee, string>> = {
    "at-least-once": "at least once",
    "best-effort": "best effort",
  };
  const delivers = lesser[guarantee] ?? "exactly once";
  return [`\`${scheme}:\` ${path}`, "sink", "", "", "", "", "", delivers, testedOf(scheme)];
}

function rows(): readonly (readonly string[])[] {
  const source = (path: string): SourceConnector => natsSource(address(path, "source"), env);
  const redis = (path: string): SourceConnector => redisSource(redisAddress(path, "source"), env);
  const kafka = (path: string): SourceConnector => kafkaSource(kafkaAddress(path, "source"), env);
  const postgres = (path: string): SourceConnector => postgresSource(postgresAddress(path, "source"), env);
  const mysql = (path: string): SourceConnector => mysqlSource(mysqlAddress(path, "source"), env);
  const rabbitmq = (path: string): SourceConnector =>
    rabbitmqSource(rabbitmqAddress(path, "source"), env, { id: "g/s" });
  const mqtt = (path: string): Feed => mqttFeed(mqttAddress(path, "source"), env, { id: "g/s" });
  const sink = (path: string): SinkConnector => natsSink(address(path, "sink"), { id: "g/s", key: "k" }, env);
  return [
    sourceRow("nats", "stream", source("/jetstream/S"), source("/jetstream/S?until=now")),
    sourceRow("nats", "bucket", source("/kv/B"), source("/kv/B?until=now")),
    feedRow("nats", "core subject", natsFeed(address("/core/s", "source"), env)),
    sinkRow("nats", "stream", sink("/jetstream/s")),
    sinkRow("nats", "bucket", sink("/kv/B")),
    sinkRow("nats", "core subject", sink("/core/s")),
    sourceRow("kafka", "topic", kafka("/t"), kafka("/t?until=now")),
    sinkRow("kafka", "topic", kafkaSink(kafkaAddress("/t", "sink"), { id: "g/s" }, env)),
    sourceRow("redis", "stream", redis("/stream/s"), redis("/stream/s?until=now")),
    feedRow("redis", "channel", redisFeed(redisAddress("/channel/c", "source"), env)),
    feedRow("redis", "keys", redisFeed(redisAddress("/key/k", "source"), env), { ends: "with `until=now`" }),
    sinkRow("redis", "stream", redisSink(redisAddress("/stream/s", "sink"), "g/s", env)),
    sinkRow("redis", "channel", redisSink(redisAddress("/channel/c", "sink"), "g/s", env)),
    sinkRow("redis", "keys", redisSink(redisAddress("/key/k", "sink"), "g/s", env, { key: "id" })),
    sourceRow("postgres", "table", postgres("/table/t?cursor=id"), postgres("/table/t?cursor=id&until=now")),
    feedRow("postgres", "outbox", postgresFeed(postgresAddress("/outbox/o", "source"), env)),
    feedRow("postgres", "changes", postgresFeed(postgresAddress("/cdc/p?slot=s", "source"), env), {
      ends: "with `until=now`",
    }),
    sinkRow("postgres", "table", postgresSink(postgresAddress("/table/t", "sink"), { id: "g/s", key: ["id"] }, env)),
    sourceRow("mysql", "table", mysql("/table/t?cursor=id"), mysql("/table/t?cursor=id&until=now")),
    sinkRow("mysql", "table", mysqlSink(mysqlAddress("/table/t", "sink"), { id: "g/s", key: ["id"] }, env)),
    sourceRow(
      "sqlite",
      "table",
      sqliteSource(sqliteAddress("&cursor=id", "source"), env),
      sqliteSource(sqliteAddress("&cursor=id&until=now", "source"), env),
    ),
    sinkRow("sqlite", "table", sqliteSink(sqliteAddress("", "sink"), { id: "g/s", key: ["id"] }, env)),
    feedRow("mqtt", "topic, quality 1 or 2", mqtt("/topic/t?qos=1")),
    feedRow("mqtt", "topic, quality 0", mqtt("/topic/t?qos=0")),
    feedRow("http", "poll", pollFeed({ url: "https://h/", schedule: { everyMs: 1000 } }, env), {
      label: "`https:`, `http://`",
    }),
    feedRow("sse+https", "stream of events", eventStreamFeed({ url: "https://h/" }, env)),
    feedRow("wss", "WebSocket", socketFeed({ url: "wss://h/" }, env)),
    feedRow("wss", "WebSocket, `ack`", socketFeed({ url: "wss://h/", ack: true }, env)),
    sinkRow("wss", "WebSocket", socketSink({ url: "wss://h/", sink: "g/s" }, env)),
    sinkRow("wss", "WebSocket, `ack`", socketSink({ url: "wss://h/", sink: "g/s", ack: true }, env)),
    sinkRow("https", "webhook", webhookSink({ urls: ["https://h/"] }, env)),
    sinkRow("mqtt", "topic", mqttSink(mqttAddress("/topic/t"), env, { id: "g/s" })),
    feedRow("rabbitmq", "queue, exchange", rabbitmqFeed(rabbitmqAddress("/queue/q", "source"), env, { id: "g/s" })),
    sourceRow("rabbitmq", "stream", rabbitmq("/stream/s"), rabbitmq("/stream/s?until=now")),
    sinkRow("rabbitmq", "queue", rabbitmqSink(rabbitmqAddress("/queue/q"), env, { id: "g/s" })),
    sinkRow("rabbitmq", "exchange", rabbitmqSink(rabbitmqAddress("/exchange/x"), env, { id: "g/s" })),
    feedRow("activemq", "queue, topic", activemqFeed(activemqAddress("/queue/q", "source"), env, { id: "g/s" })),
    sinkRow("activemq", "queue, topic", activemqSink(activemqAddress("/queue/q"), env, { id: "g/s" })),
    feedRow("amqp10", "queue", amqp10Feed(amqp10Address("/queue/q", "source"), env, { id: "g/s" })),
    // A subscription of the other broker is not durable.
    feedRow("amqp10", "topic", amqp10Feed(amqp10Address("/topic/t", "source"), env, { id: "g/s" }), {
      tested: ACTIVEMQ,
    }),
    sinkRow("amqp10", "queue, topic", amqp10Sink(amqp10Address("/queue/q"), env, { id: "g/s" })),
    feedRow("jms", "queue, topic", jmsFeed(jmsAddress("/queue/q", "source"), env, NO_CLIENT)),
    sinkRow("jms", "queue, topic", jmsSink(jmsAddress("/queue/q"), env, NO_CLIENT)),
    sourceRow(
      "s3",
      "objects",
      s3Source(s3Address("", "source"), env),
      s3Source(s3Address("?until=now", "source"), env),
    ),
    sinkRow("s3", "objects", s3Sink(s3Address("", "sink"), { id: "g/s" }, env)),
    feedRow("grpc", "method, `cursor`", grpcMethodFeed({ cursor: { field: "id", request: "after" } }), {
      ends: "with `until=end`",
    }),
    feedRow("grpc", "method", grpcMethodFeed({}), { ends: "with `until=end`" }),
    sinkRow("grpc", "method", grpcMethodSink()),
    feedRow("grpc+listen", "events that are published", intakeFeed(listenAddress(), env)),
    feedRow("mem", "queue", memoryFeed(new MemoryQueues().queue("q"), env)),
    sinkRow("mem", "queue", memorySink(new MemoryQueues().queue("q"), { id: "g/s" }, env)),
    sourceRow(
      "memredis",
      "stream",
      memredisSource(memredisAddress("stream/s", "source"), inMemory, env),
      memredisSource(memredisAddress("stream/s?until=now", "source"), inMemory, env),
    ),
    feedRow("memredis", "channel", memredisFeed(memredisAddress("channel/c", "source"), inMemory, env)),
    sinkRow("memredis", "stream", memredisSink(memredisAddress("stream/s", "sink"), "g/s", inMemory, env)),
    sinkRow("memredis", "channel", memredisSink(memredisAddress("channel/c", "sink"), "g/s", inMemory, env)),
  ];
}

test("the newer server is the one that is documented", () => {
  expect(TESTED).toContain(NATS_VERSION.slice(1));
});

test("the table in the documentation is the one that the connectors declare", () => {
  const lines = [HEAD, HEAD.map(() => "---"), ...rows()].map((row) => `| ${row.join(" | ")} |`);
  const table = lines.join("\n").replace(/\| (?:--- \| )+--- \|/, `|${"---|".repeat(HEAD.length)}`);
  console.log(table);
  const [, documented = ""] =
    /<!-- table: [^\n]*-->\n([\s\S]*?)\n<!-- \/table -->/.exec(readFileSync(DOCS, "utf8")) ?? [];
  expect(documented.replaceAll(/ +\|/g, " |")).toBe(table.replaceAll(/ +\|/g, " |"));
});

test("the examples of JMS clients in the documentation are graphs", () => {
  const [, section = ""] = /\n## JMS([\s\S]*?)\n## /.exec(readFileSync(DOCS, "utf8")) ?? [];
  const [, example = ""] = /```yaml\n([\s\S]*?)```/.exec(section) ?? [];
  const parsed = parseGraph(`name: example\n${example}`);
  expect("problems" in parsed ? parsed.problems : new Set(parsed.graph.nodes.keys())).toEqual(
    new Set(["orders", "shipped", "prices", "board"]),
  );
});

const HTTP = "streams/src/http/";
const HERE = "ops/test/connectors/";
const GRPC = "streams/test/grpc/";
const MEMORY = "streams/src/memory/";
const MEMREDIS = "streams/src/redis/memredis.test.ts";
/** The suite that puts each row of the table to its cases: the file, and the name that it has there. */
const SUITES: ReadonlyMap<string, readonly [file: string, name: string]> = new Map([
  ["`nats:` stream source", [`${HERE}nats.test.ts`, "sourceContract(`a JetStream stream"]],
  ["`nats:` bucket source", [`${HERE}nats.test.ts`, 'sourceContract("the changes of a key-value bucket"']],
  ["`nats:` core subject source", [`${HERE}nats.test.ts`, 'feedContract("a core subject"']],
  ["`nats:` stream sink", [`${HERE}nats.test.ts`, 'sinkContract("a JetStream subject"']],
  ["`nats:` bucket sink", [`${HERE}nats.test.ts`, 'sinkContract("a key-value bucket"']],
  ["`nats:` core subject sink", [`${HERE}nats.test.ts`, 'sinkContract("a core subject"']],
  ["`kafka:` topic source", [`${HERE}kafka.test.ts`, "sourceContract(`a topic"]],
  ["`kafka:` topic sink", [`${HERE}kafka.test.ts`, 'sinkContract("a topic"']],
  ["`redis:` stream source", [`${HERE}redis.test.ts`, "sourceContract(`a Redis stream"]],
  ["`redis:` channel source", [`${HERE}redis.test.ts`, 'feedContract("a Redis channel"']],
  ["`redis:` keys source", [`${HERE}redis.test.ts`, 'feedContract("keys of Redis"']],
  ["`redis:` stream sink", [`${HERE}redis.test.ts`, 'sinkContract("a Redis stream"']],
  ["`redis:` channel sink", [`${HERE}redis.test.ts`, 'sinkContract("a Redis channel"']],
  ["`redis:` keys sink", [`${HERE}redis.test.ts`, 'sinkContract("keys of Redis"']],
  ["`postgres:` table source", [`${HERE}postgres.test.ts`, "sourceContract(`a PostgreSQL table"]],
  ["`postgres:` outbox source", [`${HERE}postgres.test.ts`, 'feedContract("an outbox of PostgreSQL"']],
  ["`postgres:` changes source", [`${HERE}postgres-cdc.test.ts`, 'cursorFeedContract("a publication of PostgreSQL"']],
  ["`postgres:` table sink", [`${HERE}sql-tables.ts`, "sinkContract(`a "]],
  ["`mysql:` table source", [`${HERE}mysql.test.ts`, "sourceContract(`a MariaDB table"]],
  ["`mysql:` table sink", [`${HERE}sql-tables.ts`, "sinkContract(`a "]],
  ["`sqlite:` table source", [`${HERE}sqlite.test.ts`, "sourceContract(`a SQLite table"]],
  ["`sqlite:` table sink", [`${HERE}sql-tables.ts`, "sinkContract(`a "]],
  ["`mqtt:` topic, quality 1 or 2 source", [`${HERE}mqtt.test.ts`, "feedContract(`an MQTT topic with quality"]],
  [
    "`mqtt:` topic, quality 0 source",
    [`${HERE}mqtt.test.ts`, 'feedContract("an MQTT topic with quality of service 0"'],
  ],
  ["`https:`, `http://` poll source", [`${HTTP}poll-feed.test.ts`, "cursorFeedContract(name"]],
  [
    "`sse+https:` stream of events source",
    [`${HTTP}event-stream-feed.test.ts`, 'cursorFeedContract("a stream of events"'],
  ],
  ["`wss:` WebSocket source", [`${HTTP}socket-feed.test.ts`, 'feedContract("a WebSocket"']],
  [
    "`wss:` WebSocket, `ack` source",
    [`${HTTP}socket-feed.test.ts`, 'feedContract("a WebSocket with acknowledgements"'],
  ],
  ["`wss:` WebSocket sink", [`${HTTP}socket-sink.test.ts`, "sinkContract(`a WebSocket"]],
  ["`wss:` WebSocket, `ack` sink", [`${HTTP}socket-sink.test.ts`, "sinkContract(`a WebSocket"]],
  ["`https:` webhook sink", [`${HTTP}webhook-sink.test.ts`, "sinkContract(name"]],
  ["`mqtt:` topic sink", [`${HERE}mqtt.test.ts`, 'sinkContract("an MQTT topic"']],
  ["`rabbitmq:` queue, exchange source", [`${HERE}rabbitmq.test.ts`, "feedContract(`a "]],
  ["`rabbitmq:` stream source", [`${HERE}rabbitmq-streams.ts`, "sourceContract(`a stream of RabbitMQ"]],
  ["`rabbitmq:` queue sink", [`${HERE}rabbitmq.test.ts`, 'sinkContract("a queue of RabbitMQ"']],
  ["`rabbitmq:` exchange sink", [`${HERE}rabbitmq.test.ts`, 'sinkContract("an exchange of RabbitMQ"']],
  ["`activemq:` queue, topic source", [`${HERE}activemq.test.ts`, 'feedContract("a queue of ActiveMQ"']],
  ["`activemq:` queue, topic sink", [`${HERE}activemq.test.ts`, 'sinkContract("a queue of ActiveMQ"']],
  ["`amqp10:` queue source", [`${HERE}amqp10.test.ts`, "feedContract(`a queue over AMQP 1.0"]],
  ["`amqp10:` topic source", [`${HERE}amqp10.test.ts`, "feedContract(`a topic over AMQP 1.0"]],
  ["`amqp10:` queue, topic sink", [`${HERE}amqp10.test.ts`, "sinkContract(`a queue over AMQP 1.0"]],
  ["`jms:` queue, topic source", [`${HERE}jms.test.ts`, "feedContract(name"]],
  ["`jms:` queue, topic sink", [`${HERE}jms.test.ts`, "sinkContract(name"]],
  ["`s3:` objects source", [`${HERE}s3.test.ts`, "sourceContract(`objects of NDJSON"]],
  ["`s3:` objects sink", [`${HERE}s3.test.ts`, "sinkContract(`objects of "]],
  ["`grpc:` method, `cursor` source", [`${GRPC}grpc-feed.test.ts`, "cursorFeedContract(name"]],
  ["`grpc:` method source", [`${GRPC}grpc-feed.test.ts`, 'feedContract("a stream of answers without a cursor"']],
  ["`grpc:` method sink", [`${GRPC}grpc-sink.test.ts`, "sinkContract(name"]],
  ["`grpc+listen:` events that are published source", [`${GRPC}intake-feed.test.ts`, 'feedContract("an intake"']],
  ["`mem:` queue source", [`${MEMORY}queues.test.ts`, 'feedContract("a queue in memory"']],
  ["`mem:` queue sink", [`${MEMORY}queues.test.ts`, 'sinkContract("a queue in memory"']],
  ["`memredis:` stream source", [MEMREDIS, "sourceContract(`a stream in memory"]],
  ["`memredis:` channel source", [MEMREDIS, 'feedContract("a channel in memory"']],
  ["`memredis:` stream sink", [MEMREDIS, 'sinkContract("a stream in memory"']],
  ["`memredis:` channel sink", [MEMREDIS, 'sinkContract("a channel in memory"']],
]);

test("every row of the table is put to the cases of a suite, and every suite that is named here is there", () => {
  const labels = rows().map(([label, as]) => `${label} ${as}`);
  expect(new Set(SUITES.keys())).toEqual(new Set(labels));
  for (const [label, [file, name]] of SUITES) {
    const text = readFileSync(join(import.meta.dirname, "../../..", file), "utf8").replaceAll(/\(\n\s+/g, "(");
    expect(text.includes(name), label).toBe(true);
  }
});
