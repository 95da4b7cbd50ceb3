/** Sources and sinks by what a `kafka:` address names. */
import {
  type ConnectionState,
  type ConnectionStatus,
  type Env,
  type KafkaAddress,
  type SinkConnector,
  type SourceConnector,
  type SourceReader,
  sleep,
} from "@millrace/engine";
import type { Zstd } from "../compression/zstd.ts";
import type { EventMode } from "../format/event-message.ts";
import { jsonDecoder, type MessageDecoder, type MessageEncoder } from "../format/message-format.ts";
import type { Connection } from "../resilience/connection.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
import type { Compression } from "./compression.ts";
import type { KafkaClient } from "./driver.ts";
import { kafkaConnection } from "./kafka-connection.ts";
import { kafkaServersOf } from "./kafka-servers.ts";
import { envelopeRow, valueRow } from "./row-decoder.ts";
import { missingTopic } from "./topic-gap.ts";
import { topicSink } from "./topic-sink.ts";
import { type TopicSourceOptions, topicSource } from "./topic-source.ts";

export interface KafkaSourceOptions {
  /** Overrides what the address says of connections. */
  readonly policy?: Partial<ResiliencePolicy> | undefined;
  /** Wait for more before the source counts as idle, in ms. Default 250. */
  readonly pollMs?: number;
  /** Certificate authorities as PEM, if the address asks for them. */
  readonly ca?: string | undefined;
  /** What values are. Default JSON. */
  readonly format?: MessageDecoder | undefined;
  /** One that is faster than WebAssembly, the default. */
  readonly zstd?: Zstd | undefined;
}

/** A topic; each of its partitions is one of the source's, over a connection of its own. */
export function kafkaSource(address: KafkaAddress, env: Env, options: KafkaSourceOptions = {}): SourceConnector {
  const format = options.format ?? jsonDecoder;
  const read = optionsOf(address, format, options.pollMs);
  let readers = 0;
  const connections: Connection<KafkaClient>[] = [];
  const connect = (): Connection<KafkaClient> => {
    const connection = kafkaConnection(kafkaServersOf(address, options.ca, options.policy), env, options.zstd);
    connections.push(connection);
    return connection;
  };
  const first = connect();
  const opened = new Map<string, SourceConnector>();
  return {
    capabilities: { replay: true, ordered: true, bounded: read.untilNow },
    partitions: () => partitionsOf(first, address, env),
    connection: () => leastHealthy([...connections.map(({ status }) => status), ...statusOf(format)]),
    async open(partition, after) {
      let source = opened.get(partition);
      if (source === undefined) {
        const over = opened.size === 0 ? first : connect();
        source = resilientSource(over, topicSource(read, Number(partition), env));
        opened.set(partition, source);
      }
      const reader = await source.open(partition, after);
      readers++;
      return withEnd(reader, async () => {
        if (--readers === 0) await format.close?.();
      });
    },
  };
}

function withEnd(reader: SourceReader, ended: () => Promise<void>): SourceReader {
  let isClosed = false;
  return {
    get identity() {
      return reader.identity;
    },
    read: (messagesMax) => reader.read(messagesMax),
    async close() {
      if (isClosed) return;
      isClosed = true;
      await reader.close();
      await ended();
    },
  };
}

const statusOf = (format: MessageDecoder | MessageEncoder): readonly ConnectionStatus[] =>
  format.connection === undefined ? [] : [format.connection()];

/** `id` names the sink among all that write to the cluster: graph and node. */
export interface KafkaSinkOptions {
  readonly id: string;
  /** Field of a row that its key is in. */
  readonly key?: string;
  readonly ca?: string | undefined;
  /** What values are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
  /** Rows are events, in this mode. */
  readonly events?: EventMode | undefined;
  /** One that is faster than WebAssembly, the default. */
  readonly zstd?: Zstd | undefined;
}

export function kafkaSink(
  address: KafkaAddress,
  { id, key, ca, format, events, zstd }: KafkaSinkOptions,
  env: Env,
  policy?: Partial<ResiliencePolicy>,
): SinkConnector {
  // The address was checked: it is one of them.
  const compression = address.options.get("compression") as Compression | undefined;
  const keyed = key === undefined ? {} : { key };
  const driver = topicSink({ topic: address.topic, id, format, compression, events, ...keyed });
  const connection = kafkaConnection(kafkaServersOf(address, ca, policy), env, zstd);
  const sink = resilientSink(connection, driver);
  if (format === undefined) return sink;
  return {
    guarantee: sink.guarantee,
    connection: () => leastHealthy([connection.status, ...statusOf(format)]),
    open: (committed) => sink.open(committed),
    deliver: (slices) => sink.deliver(slices),
    async close() {
      await format.close?.();
      await sink.close();
    },
  };
}

function optionsOf(
  { topic, options }: KafkaAddress,
  format: MessageDecoder,
  pollMs: number | undefined,
): TopicSourceOptions {
  const group = options.get("group");
  return {
    topic,
    gap: options.get("gap") === "record" ? "record" : "stop",
    untilNow: options.get("until") === "now",
    uncommitted: options.get("read") === "uncommitted",
    row: options.get("envelope") === "true" ? envelopeRow : valueRow,
    format,
    ...(group === undefined ? {} : { group }),
    ...(pollMs === undefined ? {} : { pollMs }),
  };
}

/**
 * The plan of a graph needs their number before anything can start. Without it in the address the cluster is asked, until its
 * circuit opens.
 *
 * @throws SOURCE-MISSING, CONNECTION-FAILED
 */
async function partitionsOf(
  connection: Connection<KafkaClient>,
  { topic, options }: KafkaAddress,
  env: Env,
): Promise<readonly string[]> {
  const given = options.get("partitions");
  if (given !== undefined) return names(Number(given));
  const client = await connected(connection, env);
  const description = await client.describe(topic);
  await connection.disconnect();
  if (description === undefined) throw missingTopic({ topic, partition: 0 }, undefined);
  return names(description.partitions);
}

async function connected(connection: Connection<KafkaClient>, env: Env): Promise<KafkaClient> {
  for (;;) {
    try {
      return await connection.acquire();
    } catch (error) {
      if (connection.status.state !== "backing-off") throw error;
      await sleep(env, 0);
    }
  }
}

const names = (n: number): readonly string[] => Array.from({ length: n }, (_, i) => String(i));

const ILLNESS: readonly ConnectionState[] = ["idle", "up", "connecting", "backing-off", "suspended"];

/** One that is not needed counts for less than one that is. */
function leastHealthy(connections: readonly ConnectionStatus[]): ConnectionStatus {
  const illness = ({ state }: ConnectionStatus): number => ILLNESS.indexOf(state);
  return connections.reduce((worst, other) => (illness(other) > illness(worst) ? other : worst));
}
