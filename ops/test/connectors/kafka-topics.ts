/** Topics of a real Kafka for tests, by the library's own client: made, filled, read and cut independently of Millrace. */
import type { Json } from "@millrace/engine";
import { type Admin, type EachMessageHandler, type IHeaders, Kafka, logLevel, type Producer } from "kafkajs";
import { vi } from "vitest";

interface TopicRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: IHeaders;
}

const READY = { timeout: 30_000, interval: 100 };
/** Goes on while the broker is away. */
const RETRY = { retries: 1000, initialRetryTime: 50, maxRetryTime: 200 };

export class KafkaTopics {
  readonly kafka: Kafka;
  readonly admin: Admin;
  readonly #producer: Producer;
  #count = 0;

  private constructor(kafka: Kafka) {
    this.kafka = kafka;
    this.admin = kafka.admin();
    this.#producer = kafka.producer({
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition ?? 0,
    });
  }

  static async connect(...brokers: readonly string[]): Promise<KafkaTopics> {
    const topics = new KafkaTopics(
      new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, requestTimeout: 2000, retry: RETRY }),
    );
    await topics.admin.connect();
    await topics.#producer.connect();
    return topics;
  }

  /** Does not wait: the library waits for every request that was lost with a killed broker. */
  close(): void {
    for (const client of [this.#producer, this.admin]) client.disconnect().catch(() => undefined);
  }

  /** A topic of a name of its own, unless it has one. */
  async make(topic = `t${++this.#count}`, numPartitions = 1, settings: Record<string, string> = {}): Promise<string> {
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    // One that was deleted is there for a while.
    await vi.waitFor(async () => {
      if ((await this.admin.listTopics()).includes(topic)) throw new Error(`the topic ${topic} is there`);
    }, READY);
    // In a cluster that is just starting its leaders may not be known yet, and an answer may come too late: then it is there already.
    await vi.waitFor(() => this.admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] }), READY);
    return topic;
  }

  async publish(topic: string, rows: readonly Json[], partition = 0): Promise<void> {
    const messages = rows.map((row) => ({ value: JSON.stringify(row), partition }));
    if (messages.length > 0) await this.#producer.send({ topic, messages });
  }

  async raw(
    topic: string,
    messages: readonly {
      readonly key?: string | Buffer | null;
      readonly value: string | null;
      readonly headers?: IHeaders;
    }[],
    partition = 0,
  ): Promise<void> {
    await this.#producer.send({ topic, messages: messages.map((message) => ({ ...message, partition })) });
  }

  /** Removes what lies before `offset`, as retention would. */
  async cut(topic: string, offset: number, partition = 0): Promise<void> {
    // The client knows only topics that it was asked about.
    await this.admin.fetchTopicOffsets(topic);
    await this.admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
  }

  async end(topic: string, partition = 0): Promise<number> {
    const offsets = await this.admin.fetchTopicOffsets(topic);
    return Number(offsets.find((one) => one.partition === partition)?.high);
  }

  /**
   * What readers of committed records see, in order within each partition, up to the end that the topic has now. `isTransactional`:
   * up to marks that it puts there, which are seen when every transaction before them is decided.
   */
  async read(topic: string, isTransactional = true): Promise<readonly TopicRecord[]> {
    const mark = `mark ${++this.#count}`;
    const all = await this.admin.fetchTopicOffsets(topic);
    const filled = all.filter(({ high, low }) => isTransactional || Number(high) > Number(low));
    const ends = new Map(filled.map((one) => [one.partition, one]));
    for (const partition of isTransactional ? ends.keys() : [])
      await this.raw(topic, [{ value: mark, headers: { mark: "" } }], partition);
    if (ends.size === 0) return [];
    // By place: the library's consumer hands a batch over again when it joins its group again.
    const records = new Map<string, TopicRecord>();
    const consumer = this.kafka.consumer({ groupId: `read-${topic}-${this.#count}`, maxWaitTimeInMs: 50 });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const eachMessage: EachMessageHandler = async ({ partition, message: { offset, key, value, headers = {} } }) => {
        const text = value?.toString() ?? null;
        const isLast = !isTransactional && Number(offset) + 1 >= Number(ends.get(partition)?.high);
        if (text === mark || isLast) ends.delete(partition);
        const record = { partition, offset: Number(offset), key: key?.toString() ?? null, value: text, headers };
        if (headers.mark === undefined) records.set(`${partition}/${offset}`, record);
        if (ends.size === 0) resolve();
      };
      consumer.run({ eachMessage }).catch(reject);
    });
    await consumer.disconnect();
    return [...records.values()].sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  }

  async rows(topic: string): Promise<readonly Json[]> {
    return (await this.read(topic)).map(({ value }) => JSON.parse(value ?? "null") as Json);
  }
}
