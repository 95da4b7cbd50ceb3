/**
 * Writes in transactions under one name (KIP-98). Making a writer raises the epoch of the name on the cluster, so whatever an
 * earlier one has begun is aborted, and whatever it still sends is refused.
 */
import type Broker from "kafkajs/src/broker/index.js";
import type { Compression } from "./compression.ts";
import type { KafkaWriter, OutgoingRecord, ProducerIdentity } from "./driver.ts";
import { kafkaError } from "./errors.ts";
import { codeOf, PROTOCOL } from "./protocol-error.ts";

/** A topic's `max.message.bytes`, 1 MiB by default, is for a whole batch. */
const BATCH_BYTES_MAX = 512 * 1024;
const BATCH_RECORDS_MAX = 10_000;
const SEQUENCES = 2 ** 31;

/** What a writer needs of its client. */
export interface TransactionClient {
  /** Asks again for a while what fails because the cluster is busy with itself. */
  persist<T>(ask: () => Promise<T>): Promise<T>;
  /** The broker that keeps the transactions of a name. */
  coordinator(name: string): Promise<Broker>;
  /** Appends one batch. `base`: the offset of its first record. */
  produce(
    topic: string,
    partition: number,
    records: readonly OutgoingRecord[],
    producer: ProducerIdentity,
    firstSequence: number,
    transactionalId: string,
    compression: Compression | undefined,
  ): Promise<{ readonly base: number }>;
}

export class TransactionalWriter implements KafkaWriter {
  readonly #client: TransactionClient;
  readonly #name: string;
  readonly #producer: ProducerIdentity;
  readonly #compression: Compression | undefined;
  /** Records written to each partition. */
  readonly #sequences = new Map<string, number>();

  constructor(client: TransactionClient, name: string, producer: ProducerIdentity, compression?: Compression) {
    this.#client = client;
    this.#name = name;
    this.#producer = producer;
    this.#compression = compression;
  }

  async write(
    topic: string,
    records: ReadonlyMap<number, readonly OutgoingRecord[]>,
  ): Promise<ReadonlyMap<number, number>> {
    return this.#unlessFenced(async () => {
      await this.#begin(topic, [...records.keys()]);
      const ends = await Promise.all(
        [...records].map(async ([partition, rows]) => [partition, await this.#append(topic, partition, rows)] as const),
      );
      await this.#end(true);
      return new Map(ends);
    });
  }

  /** By a transaction without records: its mark ends whatever is open of the name's producer. */
  async abort(topic: string, partition: number): Promise<void> {
    await this.#unlessFenced(async () => {
      await this.#begin(topic, [partition]);
      await this.#end(false);
    });
  }

  async #unlessFenced<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const code = codeOf(error);
      if (code !== PROTOCOL.PRODUCER_FENCED && code !== PROTOCOL.INVALID_PRODUCER_EPOCH) throw error;
      throw kafkaError("KAFKA-FENCED", `another writer took over as ${this.#name}`, { cause: error });
    }
  }

  get #transaction() {
    return { transactionalId: this.#name, producerId: this.#producer.id, producerEpoch: this.#producer.epoch };
  }

  async #begin(topic: string, partitions: readonly number[]): Promise<void> {
    await this.#client.persist(async () => {
      const broker = await this.#client.coordinator(this.#name);
      return broker.addPartitionsToTxn({ ...this.#transaction, topics: [{ topic, partitions }] });
    });
  }

  async #end(isCommit: boolean): Promise<void> {
    await this.#client.persist(async () => {
      const broker = await this.#client.coordinator(this.#name);
      return broker.endTxn({ ...this.#transaction, transactionResult: isCommit });
    });
  }

  /** The offset behind the last record. */
  async #append(topic: string, partition: number, rows: readonly OutgoingRecord[]): Promise<number> {
    const place = `${topic}/${partition}`;
    let end = 0;
    for (const batch of batchesOf(rows)) {
      const sequence = this.#sequences.get(place) ?? 0;
      const { base } = await this.#client.produce(
        topic,
        partition,
        batch,
        this.#producer,
        sequence,
        this.#name,
        this.#compression,
      );
      this.#sequences.set(place, (sequence + batch.length) % SEQUENCES);
      end = base + batch.length;
    }
    return end;
  }
}

function* batchesOf(rows: readonly OutgoingRecord[]): Generator<readonly OutgoingRecord[]> {
  let batch: OutgoingRecord[] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = Buffer.byteLength(row.value) + RECORD_BYTES;
    if (batch.length > 0 && (bytes + size > BATCH_BYTES_MAX || batch.length === BATCH_RECORDS_MAX)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(row);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Room for a record's key, headers and lengths. */
const RECORD_BYTES = 256;
