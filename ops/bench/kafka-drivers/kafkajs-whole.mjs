/** The producer and the consumer of kafkajs, which Millrace does without. */
import { createRequire } from "node:module";

const { Kafka, logLevel } = createRequire(import.meta.resolve("@millrace/streams/kafka"))("kafkajs");
const FETCH = { maxBytesPerPartition: 1024 * 1024, maxWaitTimeInMs: 250 };
const ALL_REPLICAS = -1;
/** It would wait for 300 ms for the end of the transaction before; that is not what is measured. */
const RETRY = { retries: 100, initialRetryTime: 1, maxRetryTime: 10, factor: 0 };

export async function open({ address, topic, transactions }) {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: RETRY });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  const writer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId: "kafkajs-whole" });
  const consumer = kafka.consumer({ groupId: "kafkajs-whole", ...FETCH });
  await Promise.all([producer, writer, consumer].map((each) => each.connect()));
  await consumer.subscribe({ topic, fromBeginning: true });
  let taking = () => undefined;
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  const eachBatch = async ({ batch }) => {
    for (const message of batch.messages) taking({ offset: Number(message.offset), value: message.value });
  };
  await consumer.run({ autoCommit: false, eachBatch });
  await joined;
  consumer.pause([{ topic }]);
  return {
    async produce(records) {
      const messages = records.map((record) => ({ ...record, partition: 0 }));
      const [{ baseOffset }] = await producer.send({ topic, messages, acks: ALL_REPLICAS });
      return Number(baseOffset) + records.length;
    },
    read(from, take) {
      taking = take;
      consumer.seek({ topic, partition: 0, offset: String(from) });
      consumer.resume([{ topic }]);
      return () => {
        taking = () => undefined;
        consumer.pause([{ topic }]);
      };
    },
    async transact(records, offset) {
      const transaction = await writer.transaction();
      const messages = records.map((record) => ({ ...record, partition: 0 }));
      await transaction.send({ topic: transactions, messages });
      const topics = [{ topic, partitions: [{ partition: 0, offset: String(offset) }] }];
      await transaction.sendOffsets({ consumerGroupId: "kafkajs-cursor", topics });
      await transaction.commit();
    },
    close: () => Promise.all([producer, writer, consumer].map((each) => each.disconnect())),
  };
}
