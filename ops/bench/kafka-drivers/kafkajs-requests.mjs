/** Millrace's own driver: the requests and codecs of kafkajs. */
import { systemEnv } from "@millrace/engine";
import { readAhead } from "./read-ahead.mjs";

const { KafkajsClient } = await import(new URL("../../../streams/dist/kafka/kafkajs-driver.js", import.meta.url).href);

export async function open({ address, topic, transactions }) {
  const client = await KafkajsClient.connect(address, { tls: false }, systemEnv(), new AbortController().signal);
  const { id: topicId } = await client.describe(topic);
  const producer = await client.identify();
  const writer = await client.writer("kafkajs-requests");
  let sequence = 0;
  return {
    async produce(records) {
      const placed = await client.append(topic, records, producer, sequence);
      sequence += records.length;
      return placed.end;
    },
    read: (from, take) =>
      readAhead(from, take, (offset, { bytesMax, waitMs }) =>
        client.fetch({ topic, topicId, partition: 0, offset, bytesMax, waitMs, committedOnly: true, lane: "read" }),
      ),
    transact: (records) => writer.write(transactions, new Map([[0, records]])),
    close: () => client.close(),
  };
}
