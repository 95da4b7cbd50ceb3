/** The table of connectors in ops/docs/connectors.md says what the code declares. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ActivemqAddress,
  type Amqp10Address,
  type JmsAddress,
  type KafkaAddress,
  type MqttAddress,
  type NatsAddress,
  parseActivemqAddress,
  parseAmqp10Address,
  parseGraph,
  parseGrpcAddress,
  parseJmsAddress,
  parseKafkaAddress,
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
import { activemqSink } from "@millrace/streams/activemq";
import { amqp10Sink } from "@millrace/streams/amqp10";
import { grpcSink, serviceMethod } from "@millrace/streams/grpc";
import { socketSink, webhookSink } from "@millrace/streams/http";
import { jmsSink } from "@millrace/streams/jms";
import { kafkaSink, kafkaSource } from "@millrace/streams/kafka";
import { mqttSink } from "@millrace/streams/mqtt";
import { mysqlSink, mysqlSource } from "@millrace/streams/mysql";
import { natsSink, natsSource } from "@millrace/streams/nats";
import { postgresSink, postgresSource } from "@millrace/streams/postgres";
import { unixWorkers } from "@millrace/streams/process";
import { rabbitmqSink, rabbitmqSource } from "@millrace/streams/rabbitmq";
import { redisSink, redisSource } from "@millrace/streams/redis";
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
]);

function address(path: string, side: "source" | "sink"): NatsAddress {
  const parsed = parseNatsAddress(`//h${path}`, side);
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

function mqttAddress(path: string): MqttAddress {
  const parsed = parseMqttAddress(`//h${path}`, "sink");
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function rabbitmqAddress(path: string, side: "source" | "sink" = "sink"): RabbitmqAddress {
  const parsed = parseRabbitmqAddress(`//h${path}`, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function activemqAddress(path: string): ActivemqAddress {
  const parsed = parseActivemqAddress(`//h${path}`, "sink");
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function amqp10Address(path: string): Amqp10Address {
  const parsed = parseAmqp10Address(`//h${path}`, "sink");
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function jmsAddress(path: string): JmsAddress {
  const parsed = parseJmsAddress(`//h:1${path}`, "sink");
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

/** Nothing is started for what it declares. */
const NO_CLIENT = {
  id: "g/s",
  client: {},
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

function grpcMethod(): SinkConnector {
  const text = 'syntax = "proto3"; message A {} service S { rpc M(A) returns (A); }';
  const method = serviceMethod({ text, imported: () => undefined }, "S", "M", { description: {}, address: {} });
  const parsed = parseGrpcAddress("//h/S/M", "sink");
  if ("fault" in parsed) throw new Error(parsed.fault);
  return grpcSink(parsed, env, { method, channel: {}, sink: "g/s" })();
}

/** A feed is no source connector: it cannot be read again. One that `waits` for receipts slows its broker, and hands back what was not settled. */
const feedRow = (scheme: string, path: string, waits: boolean, tested = testedOf(scheme)): string[] => [
  `\`${scheme}:\` ${path}`,
  "source",
  "no",
  yes(waits),
  yes(waits),
  yes(waits),
  "no",
  "",
  tested,
];

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
  const sink = (path: string): SinkConnector => natsSink(address(path, "sink"), { id: "g/s", key: "k" }, env);
  return [
    sourceRow("nats", "stream", source("/jetstream/S"), source("/jetstream/S?until=now")),
    sourceRow("nats", "bucket", source("/kv/B"), source("/kv/B?until=now")),
    feedRow("nats", "core subject", false),
    sinkRow("nats", "stream", sink("/jetstream/s")),
    sinkRow("nats", "bucket", sink("/kv/B")),
    sinkRow("nats", "core subject", sink("/core/s")),
    sourceRow("kafka", "topic", kafka("/t"), kafka("/t?until=now")),
    sinkRow("kafka", "topic", kafkaSink(kafkaAddress("/t", "sink"), { id: "g/s" }, env)),
    sourceRow("redis", "stream", redis("/stream/s"), redis("/stream/s?until=now")),
    feedRow("redis", "channel", false),
    sinkRow("redis", "stream", redisSink(redisAddress("/stream/s", "sink"), "g/s", env)),
    sinkRow("redis", "channel", redisSink(redisAddress("/channel/c", "sink"), "g/s", env)),
    sourceRow("postgres", "table", postgres("/table/t?cursor=id"), postgres("/table/t?cursor=id&until=now")),
    // A feed that settles: what it does is proved by the outbox's own tests.
    ["`postgres:` outbox", "source", "no", "no", "yes", "no", "no", "", POSTGRES],
    // A feed with a cursor that settles: its slot forgets what is durable.
    ["`postgres:` changes", "source", "no", "yes", "yes", "yes", "with `until=now`", "", POSTGRES],
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
    feedRow("mqtt", "topic, quality 1 or 2", true),
    feedRow("mqtt", "topic, quality 0", false),
    // Feeds with a cursor, and without: what they do is proved by their own tests.
    ["`https:`, `http://` poll", "source", "from its cursor", "yes", "yes", "no", "no", "", testedOf("http")],
    ["`sse+https:` stream of events", "source", "from its cursor", "yes", "yes", "no", "no", "", testedOf("sse+https")],
    ["`wss:` WebSocket", "source", "no", "yes", "yes", "no", "no", "", testedOf("wss")],
    ["`wss:` WebSocket, `ack`", "source", "no", "yes", "yes", "yes", "no", "", testedOf("wss")],
    sinkRow("wss", "WebSocket", socketSink({ url: "wss://h/", sink: "g/s" }, env)),
    sinkRow("wss", "WebSocket, `ack`", socketSink({ url: "wss://h/", sink: "g/s", ack: true }, env)),
    sinkRow("https", "webhook", webhookSink({ url: "https://h/" })),
    sinkRow("mqtt", "topic", mqttSink(mqttAddress("/topic/t"), env, { id: "g/s" })),
    feedRow("rabbitmq", "queue, exchange", true),
    sourceRow("rabbitmq", "stream", rabbitmq("/stream/s"), rabbitmq("/stream/s?until=now")),
    sinkRow("rabbitmq", "queue", rabbitmqSink(rabbitmqAddress("/queue/q"), env, { id: "g/s" })),
    sinkRow("rabbitmq", "exchange", rabbitmqSink(rabbitmqAddress("/exchange/x"), env, { id: "g/s" })),
    feedRow("activemq", "queue, topic", true),
    sinkRow("activemq", "queue, topic", activemqSink(activemqAddress("/queue/q"), env, { id: "g/s" })),
    feedRow("amqp10", "queue", true),
    // A subscription of the other broker is not durable.
    feedRow("amqp10", "topic", true, ACTIVEMQ),
    sinkRow("amqp10", "queue, topic", amqp10Sink(amqp10Address("/queue/q"), env, { id: "g/s" })),
    feedRow("jms", "queue, topic", true),
    sinkRow("jms", "queue, topic", jmsSink(jmsAddress("/queue/q"), env, NO_CLIENT)),
    sourceRow(
      "s3",
      "objects",
      s3Source(s3Address("", "source"), env),
      s3Source(s3Address("?until=now", "source"), env),
    ),
    sinkRow("s3", "objects", s3Sink(s3Address("", "sink"), { id: "g/s" }, env)),
    // Feeds with a cursor, and without: what they do is proved by their own tests.
    [
      "`grpc:` method, `cursor`",
      "source",
      "from its cursor",
      "yes",
      "yes",
      "no",
      "with `until=end`",
      "",
      testedOf("grpc"),
    ],
    ["`grpc:` method", "source", "no", "yes", "yes", "no", "with `until=end`", "", testedOf("grpc")],
    sinkRow("grpc", "method", grpcMethod()),
    feedRow("grpc+listen", "events that are published", true),
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
