/**
 * The driver over kafkajs: its brokers, requests and codecs, without its consumer and producer, which bring group membership,
 * retries and reconnecting of their own. Partitions are read from offsets that Millrace chooses, transactions are written as
 * KIP-98 says, and a broken socket ends the client, so that the resilience layer alone decides what follows.
 */
import { isIP, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Env, sleep } from "@millrace/engine";
import Broker, { type TopicPartitions } from "kafkajs/src/broker/index.js";
import loggers from "kafkajs/src/loggers/index.js";
import ConnectionPool, { type SocketRequest } from "kafkajs/src/network/connectionPool.js";
import type { Zstd } from "../compression/zstd.ts";
import { within } from "../resilience/within.ts";
import { type Compression, compressionType, installCodecs } from "./compression.ts";
import type {
  Fetch,
  Fetched,
  KafkaClient,
  KafkaDriver,
  KafkaWriter,
  OffsetRange,
  OutgoingRecord,
  ProducerIdentity,
  TopicDescription,
} from "./driver.ts";
import { kafkaError } from "./errors.ts";
import { FETCH_KEY, FETCH_VERSION, fetched, fetchRequest } from "./fetch-request.ts";
import { type ClusterMetadata, METADATA_KEY, METADATA_VERSION, metadataRequest } from "./metadata-request.ts";
import { codeOf, isPassing, PROTOCOL, tooLarge } from "./protocol-error.ts";
import { TransactionalWriter } from "./transactional-writer.ts";

export interface KafkaSecurity {
  readonly tls: boolean;
  /** Certificates, as PEM, that the brokers' are signed by; the system's unless given. */
  readonly ca?: string;
  readonly sasl?: {
    readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    readonly username: string;
    readonly password: string;
  };
}

const CLIENT_ID = "millrace";
const REQUEST_MS = 15_000;
/**
 * How often, and how long after each other, a request is made that fails while the cluster is busy with itself. Soon at first: the
 * end of the transaction before, which is what most of them wait for, takes a millisecond or two.
 */
const PASSING_TRIES = 100;
const PASSING_MS = 1;
const PASSING_MS_MAX = 100;
const LATEST = -1;
const EARLIEST = -2;
const ALL_REPLICAS = -1;
const TRANSACTION_MS = 60_000;
const PROBE_LANE = "probe";
/** The library would log in again between requests, and take an answer that is under way for that of the login. So a login ends with its connection. */
const NEVER = -Number.MAX_SAFE_INTEGER;
const GROUP = 0;
const TRANSACTION = 1;
const REPLICAS_MAX = 3;
const logger = loggers.createLogger({ level: 0, logCreator: () => () => undefined });

/** `zstd`: one that is faster than WebAssembly. */
export function kafkajsDriver(security: KafkaSecurity, env: Env, zstd?: Zstd): KafkaDriver<KafkajsClient> {
  installCodecs(zstd);
  return {
    connect: (endpoint, signal) => KafkajsClient.connect(endpoint, security, env, signal),
    probe: (client) => client.probe(),
    ended: (client) => client.ended,
    disconnect: async (client) => client.close(),
  };
}

export class KafkajsClient implements KafkaClient {
  readonly ended: Promise<unknown>;
  readonly #security: KafkaSecurity;
  readonly #env: Env;
  readonly #sockets = new Map<Socket, string>();
  /** By address and lane. */
  readonly #brokers = new Map<string, Promise<Broker>>();
  /** Where groups and transactions are kept, by kind and name, as long as nobody refused to be that. */
  readonly #coordinators = new Map<string, { readonly host: string; readonly port: number }>();
  /** Rejects what is being asked. */
  readonly #asking = new Set<(reason: Error) => void>();
  #seed: Broker | undefined;
  #metadata: ClusterMetadata | undefined;
  #end: (reason: unknown) => void = () => undefined;
  #isClosed = false;

  private constructor(security: KafkaSecurity, env: Env) {
    this.#security = security;
    this.#env = env;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  static async connect(
    endpoint: string,
    security: KafkaSecurity,
    env: Env,
    signal: AbortSignal,
  ): Promise<KafkajsClient> {
    const client = new KafkajsClient(security, env);
    const [, host = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(endpoint) ?? [];
    const stop = (): void => client.close();
    signal.addEventListener("abort", stop, { once: true });
    try {
      client.#seed = await client.#broker(host, Number(port), "");
      return client;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /**
   * Every broker that is talked to is asked: one of them may be out of reach while the others answer. Those that were not
   * connected to first are asked over connections of their own, as what they are busy with may take longer than a probe.
   */
  async probe(): Promise<void> {
    const { host: seedHost, port: seedPort } = this.#seedBroker.connectionPool;
    const addresses = new Set([...this.#brokers.keys()].map((key) => key.slice(0, key.lastIndexOf(" "))));
    addresses.delete(`${seedHost}:${seedPort}`);
    const others = [...addresses].map(async (address) => {
      const colon = address.lastIndexOf(":");
      const broker = await this.#broker(address.slice(0, colon), Number(address.slice(colon + 1)), PROBE_LANE);
      await this.#timed(broker.apiVersions());
    });
    await Promise.all([this.#timed(this.#seedBroker.apiVersions()), ...others]);
  }

  close(): void {
    if (!this.#isClosed) this.#break(undefined);
  }

  leave(lane: string): void {
    for (const [key, connecting] of this.#brokers) {
      if (!key.endsWith(` ${lane}`)) continue;
      this.#brokers.delete(key);
      void connecting.then(abandon, () => undefined);
    }
    for (const [socket, of] of this.#sockets) {
      if (of !== lane) continue;
      // That it ends now means nothing.
      this.#sockets.delete(socket);
      socket.destroy();
    }
  }

  async describe(topic: string): Promise<TopicDescription | undefined> {
    const found = (await this.#refresh([topic])).topics.find(({ name }) => name === topic);
    if (found === undefined || found.errorCode === PROTOCOL.UNKNOWN_TOPIC) return undefined;
    if (found.errorCode !== 0) throw new Error(`topic ${topic}: the brokers answer with error ${found.errorCode}`);
    return { id: found.id, partitions: found.leaders.size };
  }

  async range(topic: string, partition: number): Promise<OffsetRange> {
    const broker = await this.#leader(topic, partition, "");
    const [first, end] = await Promise.all([EARLIEST, LATEST].map((at) => this.#offset(broker, topic, partition, at)));
    return { first: first as number, end: end as number };
  }

  async fetch(fetch: Fetch): Promise<Fetched | "out-of-range" | "missing"> {
    const broker = await this.#leader(fetch.topic, fetch.partition, fetch.lane).catch((error: unknown) => {
      if (codeOf(error) === PROTOCOL.UNKNOWN_TOPIC) return undefined;
      throw error;
    });
    if (broker === undefined) return "missing";
    const answer = await this.#timed(broker.connectionPool.send(fetchRequest(fetch)), fetch.waitMs);
    if (answer.errorCode === 0) return fetched(answer, fetch);
    if (answer.errorCode === PROTOCOL.OFFSET_OUT_OF_RANGE) return "out-of-range";
    this.#metadata = undefined;
    if (MISSING.has(answer.errorCode)) return "missing";
    throw new Error(`${fetch.topic}/${fetch.partition}: the broker answers with error ${answer.errorCode}`);
  }

  async commitOffset(group: string, topic: string, partition: number, offset: number): Promise<void> {
    const topics = [{ topic, partitions: [{ partition, offset: String(offset) }] }];
    await this.persist(async () => {
      const broker = await this.coordinator(group, GROUP);
      // As somebody who is in no group: nothing is assigned, and nobody is pushed out of it.
      return broker.offsetCommit({ groupId: group, groupGenerationId: -1, memberId: "", topics });
    });
  }

  async writer(name: string, compression?: Compression): Promise<KafkaWriter> {
    const { producerId, producerEpoch } = await this.persist(async () => {
      const broker = await this.coordinator(name, TRANSACTION);
      return broker.initProducerId({ transactionalId: name, transactionTimeout: TRANSACTION_MS });
    });
    return new TransactionalWriter(this, name, { id: producerId, epoch: producerEpoch }, compression);
  }

  async createTopic(topic: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const { brokers, controller } = await this.#refresh([]);
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    const replicationFactor = Math.min(REPLICAS_MAX, brokers.length);
    const broker = await this.#brokerOf(controller, "");
    const topics = [{ topic, numPartitions: 1, replicationFactor, configEntries }];
    await this.#timed(broker.createTopics({ topics, timeout: REQUEST_MS })).catch((error: unknown) => {
      const [first = error] = (error as { readonly errors?: readonly unknown[] }).errors ?? [];
      if (codeOf(first) !== PROTOCOL.TOPIC_EXISTS) throw first;
    });
    this.#metadata = undefined;
  }

  async identify(): Promise<ProducerIdentity> {
    const ask = () => this.#seedBroker.initProducerId({ transactionTimeout: TRANSACTION_MS });
    const { producerId, producerEpoch } = await this.persist(ask);
    return { id: producerId, epoch: producerEpoch };
  }

  async append(
    topic: string,
    records: readonly OutgoingRecord[],
    producer: ProducerIdentity,
    sequence: number,
  ): Promise<OffsetRange | "missing" | "unknown-sequence"> {
    try {
      const { base, first } = await this.produce(topic, 0, records, producer, sequence);
      return { first, end: base + records.length };
    } catch (error) {
      this.#metadata = undefined;
      const code = codeOf(error);
      if (code === PROTOCOL.DUPLICATE_SEQUENCE) return this.range(topic, 0);
      if (code === PROTOCOL.UNKNOWN_TOPIC) return "missing";
      if (UNKNOWN_SEQUENCE.has(code)) return "unknown-sequence";
      throw error;
    }
  }

  async removeBefore(topic: string, offset: number): Promise<void> {
    const broker = await this.#leader(topic, 0, "");
    const topics = [{ topic, partitions: [{ partition: 0, offset: String(offset) }] }];
    await this.#timed(broker.deleteRecords({ topics })).catch((error: unknown) => {
      this.#metadata = undefined;
      throw error;
    });
  }

  /** Appends one batch. `base`: the offset of its first record; -1 when the broker had it already. */
  async produce(
    topic: string,
    partition: number,
    records: readonly OutgoingRecord[],
    producer: ProducerIdentity,
    firstSequence: number,
    transactionalId?: string,
    codec?: Compression,
  ): Promise<{ readonly base: number; readonly first: number }> {
    const broker = await this.#leader(topic, partition, "");
    const topicData: TopicPartitions[] = [
      { topic, partitions: [{ partition, firstSequence, messages: records.map(encodable) }] },
    ];
    const transaction = transactionalId === undefined ? {} : { transactionalId };
    const identity = { producerId: producer.id, producerEpoch: producer.epoch };
    const compression = compressionType(codec);
    const request = { acks: ALL_REPLICAS, timeout: REQUEST_MS, compression, ...transaction, ...identity, topicData };
    const sent = broker.produce(request);
    const { topics } = await this.#timed(sent).catch((error: unknown) => {
      throw codeOf(error) === PROTOCOL.MESSAGE_TOO_LARGE ? tooLarge(topic, error) : error;
    });
    const placed = topics[0]?.partitions[0];
    return { base: Number(placed?.baseOffset ?? -1), first: Number(placed?.logStartOffset ?? 0) };
  }

  /** The broker that keeps a group or a transaction. */
  async coordinator(name: string, type: number = TRANSACTION): Promise<Broker> {
    const key = `${type} ${name}`;
    let at = this.#coordinators.get(key);
    if (at === undefined) {
      const asked = { groupId: name, coordinatorType: type };
      at = (await this.persist(() => this.#seedBroker.findGroupCoordinator(asked))).coordinator;
      this.#coordinators.set(key, at);
    }
    return this.#broker(at.host, at.port, "");
  }

  /** What fails because the cluster is busy with itself is asked again for a while, and of whoever keeps the name by then. */
  async persist<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#timed(ask());
      } catch (error) {
        if (!isPassing(error) || tries === PASSING_TRIES || this.#isClosed) throw error;
        if (codeOf(error) !== PROTOCOL.CONCURRENT_TRANSACTIONS) this.#coordinators.clear();
        await sleep(this.#env, Math.min(PASSING_MS_MAX, PASSING_MS * 2 ** (tries - 1)));
      }
    }
  }

  get #seedBroker(): Broker {
    if (this.#seed === undefined) throw new Error("the connection was not made");
    return this.#seed;
  }

  async #offset(broker: Broker, topic: string, partition: number, timestamp: number): Promise<number> {
    const topics = [{ topic, partitions: [{ partition, timestamp }] }];
    const { responses } = await this.#timed(broker.listOffsets({ replicaId: -1, isolationLevel: 0, topics }));
    return Number(responses[0]?.partitions[0]?.offset);
  }

  async #leader(topic: string, partition: number, lane: string): Promise<Broker> {
    const known = this.#metadata?.topics.find(({ name }) => name === topic);
    const { topics } = known === undefined ? await this.#refresh([topic]) : (this.#metadata as ClusterMetadata);
    const leader = topics.find(({ name }) => name === topic)?.leaders.get(partition);
    if (leader === undefined)
      throw Object.assign(new Error(`there is no ${topic}/${partition}`), { code: PROTOCOL.UNKNOWN_TOPIC });
    return this.#brokerOf(leader, lane);
  }

  async #refresh(topics: readonly string[]): Promise<ClusterMetadata> {
    const read = await this.#timed(this.#seedBroker.connectionPool.send(metadataRequest(topics)));
    const others = this.#metadata?.topics.filter(({ name }) => name !== null && !topics.includes(name)) ?? [];
    const found = read.topics.filter(({ errorCode }) => errorCode === 0);
    this.#metadata = { ...read, topics: [...others, ...found] };
    return read;
  }

  #brokerOf(id: number, lane: string): Promise<Broker> {
    const node = this.#metadata?.brokers.find((broker) => broker.id === id);
    if (node === undefined) throw new Error(`broker ${id}, which is to lead, is not there`);
    return this.#broker(node.host, node.port, lane);
  }

  #broker(host: string, port: number, lane: string): Promise<Broker> {
    const key = `${host}:${port} ${lane}`;
    let connecting = this.#brokers.get(key);
    if (connecting === undefined) {
      connecting = this.#connected(host, port, lane);
      this.#brokers.set(key, connecting);
      connecting.catch(() => this.#brokers.delete(key));
    }
    return connecting;
  }

  async #connected(host: string, port: number, lane: string): Promise<Broker> {
    const { tls, ca, sasl = null } = this.#security;
    const connectionPool = new ConnectionPool({
      host,
      port,
      logger,
      clientId: CLIENT_ID,
      ssl: tls ? { ...(ca === undefined ? {} : { ca }) } : null,
      sasl,
      requestTimeout: REQUEST_MS,
      connectionTimeout: REQUEST_MS,
      reauthenticationThreshold: NEVER,
      enforceRequestTimeout: false,
      socketFactory: (request) => this.#socket(request, lane),
    });
    const broker = new Broker({ connectionPool, logger, authenticationTimeout: REQUEST_MS });
    await this.#timed(broker.connect());
    const knows = (key: number, version: number): boolean => (broker.versions[key]?.maxVersion ?? -1) >= version;
    if (!knows(METADATA_KEY, METADATA_VERSION) || !knows(FETCH_KEY, FETCH_VERSION))
      throw kafkaError("KAFKA-VERSION", `${host}:${port} cannot tell topics by their ids`);
    return broker;
  }

  #socket({ host, port, ssl, onConnect }: SocketRequest, lane: string): Socket {
    if (this.#isClosed) throw closedError();
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket = ssl === null ? new Socket() : connectTls({ host, port, ...name, ...ssl }, onConnect);
    if (ssl === null) socket.connect({ host, port }, onConnect);
    socket.setKeepAlive(true).setNoDelay(true);
    this.#sockets.set(socket, lane);
    const broke = (reason: Error): void => {
      if (this.#sockets.delete(socket)) this.#break(reason);
    };
    socket.on("error", broke);
    // Before the library sees it, and connects again.
    for (const event of ["end", "close"])
      socket.on(event, () => broke(new Error(`${host}:${port} closed the connection`)));
    return socket;
  }

  /** A client of which one socket broke is of no use any more. */
  #break(reason: Error | undefined): void {
    this.#isClosed = true;
    for (const reject of this.#asking) reject(reason ?? closedError());
    for (const connecting of this.#brokers.values()) void connecting.then(abandon, () => undefined);
    for (const socket of this.#sockets.keys()) socket.destroy();
    this.#sockets.clear();
    this.#end(reason);
  }

  /**
   * The answer; a rejection when the client is closed: some of the library's promises never end. What takes too long ends the
   * client: the connection that it was asked over may be dead, and only that.
   */
  #timed<T>(asked: Promise<T>, moreMs = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) reject(closedError());
      this.#asking.add(reject);
      const late = (): Error => {
        const reason = new Error(`no answer in ${REQUEST_MS + moreMs} ms`);
        if (!this.#isClosed) this.#break(reason);
        return reason;
      };
      within(this.#env, REQUEST_MS + moreMs, asked, late)
        .then(resolve, reject)
        .finally(() => this.#asking.delete(reject));
    });
  }
}

/** The library waits for requests under way before it ends a connection. */
function abandon({ connectionPool }: Broker): void {
  for (const connection of connectionPool.pool) connection.rejectRequests(closedError());
  void connectionPool.destroy();
}

const closedError = (): Error => new Error("the connection was closed");

/** The library takes other bytes than its own kind for texts. */
function encodable({ key, value, headers }: OutgoingRecord): object {
  const bytes = typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return { key, value: bytes, headers };
}

const MISSING: ReadonlySet<number> = new Set([
  PROTOCOL.UNKNOWN_TOPIC,
  PROTOCOL.UNKNOWN_TOPIC_ID,
  PROTOCOL.INCONSISTENT_TOPIC_ID,
]);
const UNKNOWN_SEQUENCE: ReadonlySet<number | undefined> = new Set([
  PROTOCOL.OUT_OF_ORDER_SEQUENCE,
  PROTOCOL.UNKNOWN_PRODUCER,
  PROTOCOL.INVALID_PRODUCER_EPOCH,
]);
