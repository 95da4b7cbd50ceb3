/** Sources and sinks by what a `kafka:` address names. */
import {
  type ConnectionState,
  type Env,
  type KafkaAddress,
  type SinkConnector,
  type SourceConnector,
  sleep,
} from "@millrace/engine";
import type { Connection } from "../resilience/connection.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { resilientSink } from "../resilience/resilient-sink.ts";
import { resilientSource } from "../resilience/resilient-source.ts";
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
}

/** A topic; each of its partitions is one of the source's, over a connection of its own. */
export function kafkaSource(address: KafkaAddress, env: Env, options: KafkaSourceOptions = {}): SourceConnector {
  const read = optionsOf(address, options.pollMs);
  const connections: Connection<KafkaClient>[] = [];
  const connect = (): Connection<KafkaClient> => {
    const connection = kafkaConnection(kafkaServersOf(address, options.ca, options.policy), env);
    connections.push(connection);
    return connection;
  };
  const first = connect();
  const opened = new Map<string, SourceConnector>();
  return {
    capabilities: { replay: true, ordered: true, bounded: read.untilNow },
    partitions: () => partitionsOf(first, address, env),
    connection: () => leastHealthy(connections).status,
    open(partition, after) {
      let source = opened.get(partition);
      if (source === undefined) {
        const over = opened.size === 0 ? first : connect();
        source = resilientSource(over, topicSource(read, Number(partition), env));
        opened.set(partition, source);
      }
      return source.open(partition, after);
    },
  };
}

/** `id` names the sink among all that write to the cluster: graph and node. */
export interface KafkaSinkOptions {
  readonly id: string;
  /** Field of a row that its key is in. */
  readonly key?: string;
  readonly ca?: string | undefined;
}

export function kafkaSink(
  address: KafkaAddress,
  { id, key, ca }: KafkaSinkOptions,
  env: Env,
  policy?: Partial<ResiliencePolicy>,
): SinkConnector {
  const sink = topicSink({ topic: address.topic, id, ...(key === undefined ? {} : { key }) });
  return resilientSink(kafkaConnection(kafkaServersOf(address, ca, policy), env), sink);
}

function optionsOf({ topic, options }: KafkaAddress, pollMs: number | undefined): TopicSourceOptions {
  const group = options.get("group");
  return {
    topic,
    gap: options.get("gap") === "record" ? "record" : "stop",
    untilNow: options.get("until") === "now",
    uncommitted: options.get("read") === "uncommitted",
    decode: options.get("envelope") === "true" ? envelopeRow : valueRow,
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

const ILLNESS: readonly ConnectionState[] = ["up", "idle", "connecting", "backing-off", "suspended"];

function leastHealthy(connections: readonly Connection<KafkaClient>[]): Connection<KafkaClient> {
  const illness = ({ status }: Connection<KafkaClient>): number => ILLNESS.indexOf(status.state);
  return connections.reduce((worst, other) => (illness(other) > illness(worst) ? other : worst));
}
