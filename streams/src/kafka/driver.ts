/**
 * What the connectors and edges need of a Kafka client. `kafkajs` implements it (`kafkajs-driver.ts`); another client can be put
 * in its place. A client neither reconnects nor retries what the cluster refused: the resilience layer does, for all of them.
 *
 * Offsets are numbers: a partition of 2^53 records does not exist.
 */
import type { ConnectionDriver } from "../resilience/connection.ts";
import type { Compression } from "./compression.ts";

export type HeaderValue = Uint8Array | null | readonly (Uint8Array | null)[];

export interface KafkaRecord {
  readonly offset: number;
  /** Ms since 1970, of the producer or of the broker, as the topic says. */
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  /** `null`: a tombstone. */
  readonly value: Uint8Array | null;
  /** A name that occurs more than once has a list. */
  readonly headers: Readonly<Record<string, HeaderValue>>;
  /** Who wrote it, as transaction markers name it; `-1` for nobody in particular. */
  readonly producer: string;
  /** Only what is in a transaction waits for a marker. */
  readonly isTransactional: boolean;
}

export interface TransactionMarker {
  readonly offset: number;
  readonly producer: string;
  readonly isCommit: boolean;
}

export interface OutgoingRecord {
  readonly key: string | null;
  readonly value: Uint8Array | string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TopicDescription {
  /** Unlike the name, no other topic ever has it. */
  readonly id: string;
  /** Number of partitions; they are called 0, 1, … */
  readonly partitions: number;
}

export interface OffsetRange {
  /** The first offset that the partition still has, or gets next if it is empty. */
  readonly first: number;
  /** The offset that the next record gets. */
  readonly end: number;
}

export interface Fetch {
  readonly topic: string;
  /** Of the topic that is meant: another one of this name is `"missing"`. */
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
  /** How long the broker may wait for a record, in ms. */
  readonly waitMs: number;
  /** False: records of transactions that are open or aborted, too, and the markers that decide. */
  readonly committedOnly: boolean;
  /** Fetches of one lane follow each other; those of others do not wait for them. */
  readonly lane: string;
}

export interface Fetched {
  /** In offset order, from the offset that was asked for. */
  readonly records: readonly KafkaRecord[];
  /** Empty unless more than committed records were asked for. */
  readonly markers: readonly TransactionMarker[];
  /** All below it are in `records`, or are no records: aborted, compacted, markers. */
  readonly next: number;
}

/** An idempotent producer: with its sequences a broker leaves out what it has already. */
export interface ProducerIdentity {
  readonly id: string;
  readonly epoch: number;
}

export interface KafkaWriter {
  /**
   * Appends to partitions of a topic in one transaction: all of it, or nothing, is ever seen by readers of committed records.
   * Returns the offset behind the last record of each partition.
   *
   * @throws KAFKA-FENCED a newer writer of this name exists, KAFKA-TOO-LARGE
   */
  write(topic: string, records: ReadonlyMap<number, readonly OutgoingRecord[]>): Promise<ReadonlyMap<number, number>>;
  /**
   * Aborts what earlier writers of this name left open in a partition, also where the cluster has forgotten in a crash that it is open.
   * The mark that says so comes soon after.
   *
   * @throws KAFKA-FENCED a newer writer of this name exists
   */
  abort(topic: string, partition: number): Promise<void>;
}

export interface KafkaClient {
  /** `undefined`: there is no such topic. */
  describe(topic: string): Promise<TopicDescription | undefined>;
  range(topic: string, partition: number): Promise<OffsetRange>;
  /** `"out-of-range"`: the partition does not have the offset, any more or yet. `"missing"`: this topic, or the partition, is not there. */
  fetch(fetch: Fetch): Promise<Fetched | "out-of-range" | "missing">;
  /** Ends what a lane has under way, and what it takes. */
  leave(lane: string): void;
  /** Where a consumer group stands, for whoever watches its lag. */
  commitOffset(group: string, topic: string, partition: number, offset: number): Promise<void>;
  /** A writer of this name; earlier ones are fenced off, and what they had begun is aborted. Default: not compressed. */
  writer(name: string, compression?: Compression): Promise<KafkaWriter>;

  /** Makes a topic of one partition, unless it is there. */
  createTopic(topic: string, settings: Readonly<Record<string, string>>): Promise<void>;
  identify(): Promise<ProducerIdentity>;
  /**
   * Appends to partition 0. `sequence`: how many records `producer` appended to the topic before; what the broker has already it
   * does not append again. Returns what the partition holds then.
   *
   * @throws KAFKA-TOO-LARGE
   */
  append(
    topic: string,
    records: readonly OutgoingRecord[],
    producer: ProducerIdentity,
    sequence: number,
  ): Promise<OffsetRange | "missing" | "unknown-sequence">;
  /** Removes what lies before an offset of partition 0. */
  removeBefore(topic: string, offset: number): Promise<void>;
}

/** Makes and watches clients, one at a time. */
export type KafkaDriver<C extends KafkaClient = KafkaClient> = ConnectionDriver<C>;
