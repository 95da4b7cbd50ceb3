/** Sources and sinks by what a `kafka:` address names. */
import {
  type Env,
  type KafkaAddress,
  type PartitionKernel,
  type SinkConnector,
  type SourceConnector,
  sleep,
} from "@millrace/engine";
import type { Zstd } from "../compression/zstd.ts";
import { jsonDecoder, jsonEncoder } from "../format/json-format.ts";
import type { MessageDecoder, MessageEncoder } from "../format/message-format.ts";
import type { Connection } from "../resilience/connection.ts";
import { leastHealthy } from "../resilience/least-healthy.ts";
import { messageSink } from "../resilience/message-sink.ts";
import { decodedSource, withFormat } from "../resilience/message-source.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
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
  const { format = jsonDecoder } = options;
  const read = optionsOf(address, options.pollMs);
  const connect = (): Connection<KafkaClient> =>
    kafkaConnection(kafkaServersOf(address, options.ca, options.policy), env, options.zstd);
  const first = connect();
  const others: Connection<KafkaClient>[] = [];
  const opened = new Map<string, SourceConnector>();
  const source: SourceConnector = {
    capabilities: { replay: true, ordered: true, bounded: read.untilNow },
    partitions: () => partitionsOf(first, address, env),
    connection: () => leastHealthy([first.status, ...others.map(({ status }) => status)]),
    async open(partition, after) {
      let one = opened.get(partition);
      if (one === undefined) {
        const over = opened.size === 0 ? first : connect();
        if (over !== first) others.push(over);
        one = decodedSource(over, topicSource(read, Number(partition), env), format);
        opened.set(partition, one);
      }
      return one.open(partition, after);
    },
  };
  return withFormat(source, format);
}

/** `id` names the sink among all that write to the cluster: graph and node. */
export interface KafkaSinkOptions {
  readonly id: string;
  /** Field of a row that its key is in. */
  readonly key?: string;
  readonly ca?: string | undefined;
  /** What values are. Default JSON. */
  readonly format?: MessageEncoder | undefined;
  /** One that is faster than WebAssembly, the default. */
  readonly zstd?: Zstd | undefined;
  /** What places keys faster than TypeScript, the default. */
  readonly kernel?: PartitionKernel | undefined;
}

export function kafkaSink(
  address: KafkaAddress,
  { id, key, ca, format = jsonEncoder, zstd, kernel }: KafkaSinkOptions,
  env: Env,
  policy?: Partial<ResiliencePolicy>,
): SinkConnector {
  // The address was checked: it is one of them.
  const compression = address.options.get("compression") as Compression | undefined;
  const keyed = key === undefined ? {} : { key };
  const driver = topicSink({ topic: address.topic, id, compression, kernel, ...keyed });
  const connection = kafkaConnection(kafkaServersOf(address, ca, policy), env, zstd);
  return messageSink(connection, driver, format);
}

function optionsOf({ topic, options }: KafkaAddress, pollMs: number | undefined): TopicSourceOptions {
  const group = options.get("group");
  return {
    topic,
    gap: options.get("gap") === "record" ? "record" : "stop",
    untilNow: options.get("until") === "now",
    uncommitted: options.get("read") === "uncommitted",
    row: options.get("envelope") === "true" ? envelopeRow : valueRow,
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
