/** The producer and the consumer of @platformatic/kafka. */
import { messageOf, platformatic } from "./platformatic.mjs";

const { Consumer, Producer } = platformatic;
const FETCH = { minBytes: 1, maxBytes: 1024 * 1024, maxWaitTime: 250, isolationLevel: 1, autocommit: false };
const ALL_REPLICAS = -1;
/** It would wait for a second for the end of the transaction before; that is not what is measured. */
const RETRY = { retries: 100, retryDelay: 1 };

export async function open({ address, topic, transactions }) {
  const options = { clientId: "bench", bootstrapBrokers: [address], ...RETRY };
  const producing = { ...options, idempotent: true, acks: ALL_REPLICAS };
  const producer = new Producer(producing);
  const writer = new Producer({
    ...producing,
    transactionalId: "platformatic-whole",
    producerId: -1n,
    producerEpoch: -1,
  });
  const consumer = new Consumer({ ...options, ...FETCH, groupId: "platformatic-whole" });
  const send = async (through, to, records) => {
    const messages = records.map((record) => messageOf(record, to));
    const { offsets } = await through.send({ messages });
    return Number(offsets[0].offset) + records.length;
  };
  return {
    produce: (records) => send(producer, topic, records),
    async read(from, take) {
      const offsets = [{ topic, partition: 0, offset: BigInt(from) }];
      const stream = await consumer.consume({ topics: [topic], mode: "manual", offsets, ...FETCH });
      stream.on("data", ({ offset, value }) => take({ offset: Number(offset), value }));
      return () => stream.close();
    },
    async transact(records, offset) {
      const transaction = await writer.beginTransaction();
      await send(transaction, transactions, records);
      const groupId = "platformatic-cursor";
      await transaction.addConsumer({ groupId });
      // As somebody who is in no group.
      const member = { groupId, generationId: -1, memberId: "", coordinatorId: 1 };
      await transaction.addOffset({ topic, partition: 0, offset: BigInt(offset) - 1n, metadata: { consumer: member } });
      await transaction.commit();
    },
    close: () => Promise.all([producer.close(true), writer.close(true), consumer.close(true)]),
  };
}
