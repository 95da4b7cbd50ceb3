/** Edges over Kafka, and what one would write by hand with kafkajs on the same broker. */
import { createRequire } from "node:module";
import { systemEnv } from "@millrace/engine";
import { kafkaTransport } from "@millrace/streams/kafka";
import { durableEdge, FRAME_ROWS, handmade, ROW } from "./edge-rows.mjs";

const { Kafka, logLevel } = createRequire(import.meta.resolve("@millrace/streams/kafka"))("kafkajs");
const TOPIC = "bare";
const FRAMES = "frames";

/** A producer and a consumer of a new topic of one partition. */
async function connected(address, topic) {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
  await admin.disconnect();
  const [producer, consumer] = [kafka.producer(), kafka.consumer({ groupId: topic })];
  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topic, fromBeginning: true });
  const close = () => Promise.all([producer.disconnect(), consumer.disconnect()]);
  return { producer, consumer, close };
}

/** Batches of messages, a message for each row, as the library's manual has it: `send` awaited, `eachBatch`. */
async function batchLoop(address) {
  const { producer, consumer, close } = await connected(address, TOPIC);
  let left = 0;
  let done = () => undefined;
  let read = 0;
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages) if (value[0] === ROW[0]) read++;
      left -= batch.messages.length;
      if (left <= 0) done();
    },
  });
  const messages = Array.from({ length: FRAME_ROWS }, () => ({ value: ROW }));
  return {
    async run(n) {
      left = n;
      const received = new Promise((resolve) => {
        done = resolve;
      });
      for (let sent = 0; sent < n; sent += FRAME_ROWS) await producer.send({ topic: TOPIC, messages });
      await received;
      if (read === 0) throw new Error("no row was read");
    },
    close,
  };
}

/** Frames as messages, each sent and acknowledged by the broker. */
async function framesByHand(address) {
  const { producer, consumer, close } = await connected(address, FRAMES);
  let came = () => undefined;
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (let i = 0; i < batch.messages.length; i++) came();
    },
  });
  return handmade({
    publish: (value) => producer.send({ topic: FRAMES, messages: [{ value }] }),
    receive: (each) => {
      came = each;
    },
    close,
  });
}

/** @param {string} address of a broker */
export async function kafkaPeers(address) {
  const open = () => kafkaTransport({ env: systemEnv(), servers: { endpoints: [address] } });
  return {
    [DURABLE]: { n: 200 * FRAME_ROWS, ...(await durableEdge(open)), byHand: await framesByHand(address) },
    [BARE]: { n: 100 * FRAME_ROWS, ...(await batchLoop(address)) },
  };
}

const DURABLE = "edge over Kafka";
const BARE = "batch loop of kafkajs";

export const KAFKA_RATIOS = { bareKafkajs: [DURABLE, BARE] };
