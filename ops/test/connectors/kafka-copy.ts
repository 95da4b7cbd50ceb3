/** A graph that copies one topic to another, with the edge between its source and its sink over Kafka, too. */
import { type ConnectionStatus, type GraphStatus, type NodeStatus, systemEnv, type Transport } from "@millrace/engine";
import { kafkaTransport } from "@millrace/streams/kafka";
import type { ResiliencePolicy } from "@millrace/streams/resilience";
import { expect, vi } from "vitest";
import { type CopiedTopics, type Counted, kafkaOutcome } from "./kafka-outcome.ts";
import type { KafkaTopics } from "./kafka-topics.ts";
import { numbers, RunningGraph, WAIT } from "./running-graph.ts";

export interface KafkaCopyOptions {
  readonly endpoints: readonly string[];
  readonly policy: Partial<ResiliencePolicy>;
  /** By SCRAM. */
  readonly login?: { readonly user: string; readonly password: string };
  /** Of the topic that is read. Default 1. */
  readonly partitions?: number;
}

const env = systemEnv();
/** Rows of one request. */
const ROWS = 100;
let count = 0;

export class KafkaCopy {
  readonly name: string;
  readonly copied: CopiedTopics;
  readonly #topics: KafkaTopics;
  readonly #graph: RunningGraph;
  readonly #edges: Transport;
  /** Rows that the brokers have. */
  sent = 0;

  private constructor(name: string, copied: CopiedTopics, topics: KafkaTopics, graph: RunningGraph, edges: Transport) {
    this.name = name;
    this.copied = copied;
    this.#topics = topics;
    this.#graph = graph;
    this.#edges = edges;
  }

  static async start(
    topics: KafkaTopics,
    { endpoints, policy, login, partitions = 1 }: KafkaCopyOptions,
  ): Promise<KafkaCopy> {
    const name = `copy${++count}`;
    const input = await topics.make(`${name}-in`, partitions);
    const output = await topics.make(`${name}-out`);
    const sasl = login === undefined ? {} : { ...login, sasl: "scram-sha-512" as const };
    const edges = kafkaTransport({ env, servers: { endpoints, policy, ...sasl } });
    const at = `kafka://${login === undefined ? "" : `${login.user}:${login.password}@`}${endpoints.join(",")}`;
    const options = login === undefined ? "" : "?sasl=scram-sha-512";
    const text = `name: ${name}
nodes:
  in:  { kind: source, from: "${at}/${input}${options}" }
  out: { kind: sink, input: in, to: "${at}/${output}${options}" }
defaults: { edge: { via: kafka } }
`;
    const graph = await RunningGraph.start(text, undefined, {}, policy, edges);
    return new KafkaCopy(name, { input, partitions, output }, topics, graph, edges);
  }

  status(): GraphStatus {
    return this.#graph.status();
  }

  node(name: string): NodeStatus {
    return this.status().nodes.find(({ node }) => node === name) as NodeStatus;
  }

  /** Of its ends, and of the edge between them. */
  connections(): Readonly<Record<string, ConnectionStatus>> {
    const edge = this.status().edges[0]?.connection;
    const all = { in: this.node("in").connection, out: this.node("out").connection, edge };
    return all as Readonly<Record<string, ConnectionStatus>>;
  }

  /** In order to each partition, which take turns. `bytes`: how much larger a row is made. */
  async send(n: number, bytes = 0): Promise<void> {
    const filler = "x".repeat(bytes);
    for (const until = this.sent + n; this.sent < until; ) {
      const rows = numbers(this.sent, Math.min(ROWS, until - this.sent)).map((each) => ({ n: each, filler }));
      await this.#topics.publish(this.copied.input, rows, Math.floor(this.sent / ROWS) % this.copied.partitions);
      this.sent += rows.length;
    }
  }

  /** Waits until all that was sent has come. */
  async hasAll(): Promise<void> {
    await vi.waitFor(() => expect(this.node("out").messagesIn).toBeGreaterThanOrEqual(this.sent), WAIT);
  }

  outcome(): Promise<Counted> {
    return kafkaOutcome(this.#topics, this.copied, () => this.node("out").messagesIn);
  }

  async stop(): Promise<void> {
    await this.#graph.stop();
    await this.#edges.close();
  }
}
