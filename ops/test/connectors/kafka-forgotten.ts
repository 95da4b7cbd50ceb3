/**
 * What brokers leave behind that forgot a transaction in a crash: messages of a transactional producer that nobody will ever commit or
 * abort. Made by requests of kafkajs that its producer does not make alone.
 */
import { createRequire } from "node:module";
import { connect, type Socket } from "node:net";
import { ConfigResourceTypes } from "kafkajs";
import { vi } from "vitest";
import type { KafkaTopics } from "./kafka-topics.ts";

interface Transacting {
  readonly transactionalId: string;
}
interface Broker {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  initProducerId(request: Transacting & { transactionTimeout: number }): Promise<{
    readonly producerId: string;
    readonly producerEpoch: number;
  }>;
  produce(request: Transacting & { producerId: string; producerEpoch: number; topicData: object }): Promise<unknown>;
}
const library = createRequire(import.meta.url);
const BrokerOf = library("kafkajs/src/broker") as new (options: object) => Broker;
const ConnectionPool = library("kafkajs/src/network/connectionPool") as new (options: object) => object;
const { createLogger } = library("kafkajs/src/loggers") as { createLogger(options: object): object };

const LIMIT_MS = 10_000;

export interface ForgottenMessage {
  readonly transactionalId: string;
  readonly topic: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Appends to partition 0. */
export async function leaveForgotten(topics: KafkaTopics, port: number, message: ForgottenMessage): Promise<void> {
  const { transactionalId, topic, value, headers } = message;
  const broker = await brokerAt(port);
  await verifyTransactions(topics, false);
  try {
    const identity = await broker.initProducerId({ transactionalId, transactionTimeout: LIMIT_MS });
    const messages = [{ key: null, value: Buffer.from(value), headers, timestamp: Date.now() }];
    const topicData = [{ topic, partitions: [{ partition: 0, firstSequence: 0, messages }] }];
    // The setting takes a moment.
    await vi.waitFor(() => broker.produce({ transactionalId, ...identity, topicData }), LIMIT_MS);
  } finally {
    await verifyTransactions(topics, true);
    await broker.disconnect();
  }
}

/** Whether brokers take only what belongs to a transaction that a coordinator knows of. */
async function verifyTransactions(topics: KafkaTopics, does: boolean): Promise<void> {
  const configEntries = [{ name: "transaction.partition.verification.enable", value: String(does) }];
  const resources = [{ type: ConfigResourceTypes.BROKER, name: "1", configEntries }];
  await topics.admin.alterConfigs({ validateOnly: false, resources });
}

async function brokerAt(port: number): Promise<Broker> {
  const logger = createLogger({ level: 0, logCreator: () => () => undefined });
  const socketFactory = ({ onConnect }: { readonly onConnect: () => void }): Socket =>
    connect({ host: "127.0.0.1", port }, onConnect);
  const times = { requestTimeout: LIMIT_MS, connectionTimeout: LIMIT_MS, enforceRequestTimeout: false };
  const place = { host: "127.0.0.1", port, ssl: null, sasl: null, clientId: "test" };
  const connectionPool = new ConnectionPool({ ...place, ...times, logger, socketFactory });
  const broker = new BrokerOf({ connectionPool, logger, authenticationTimeout: LIMIT_MS });
  await broker.connect();
  return broker;
}
