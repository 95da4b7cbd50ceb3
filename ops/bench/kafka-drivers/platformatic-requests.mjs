/** What a second driver would be: the same requests by the connections and codecs of @platformatic/kafka. */
import { messageOf, platformatic } from "./platformatic.mjs";
import { readAhead } from "./read-ahead.mjs";

const { Connection, NumericMap, fetchV13, produceV9, metadataV10, initProducerIdV4, addPartitionsToTxnV3, endTxnV3 } =
  platformatic;
const TIMEOUT_MS = 15_000;
const ALL_REPLICAS = -1;
const COMMITTED = 1;
const CONCURRENT_TRANSACTIONS = 51;
const NOBODY = [-1n, -1];

export async function open({ address, topic, transactions }) {
  const [host, port] = address.split(":");
  // A fetch may wait: what is written does not wait behind it.
  const [writing, reading] = [new Connection("bench"), new Connection("bench")];
  await Promise.all([writing, reading].map((connection) => connection.connect(host, Number(port))));
  const { topics } = await metadataV10.api.async(writing, [topic], false, false);
  const [{ topicId }] = topics;
  const identify = async (transactionalId) => {
    const made = await initProducerIdV4.api.async(writing, transactionalId, TIMEOUT_MS, ...NOBODY);
    return { producerId: made.producerId, producerEpoch: made.producerEpoch, sequences: new NumericMap() };
  };
  const append = async (to, records, identity) => {
    const { producerId, producerEpoch, sequences, transactionalId } = identity;
    const options = { compression: "none", producerId, producerEpoch, sequences, transactionalId };
    const messages = records.map((record) => messageOf(record, to));
    const { responses } = await produceV9.api.async(writing, ALL_REPLICAS, TIMEOUT_MS, messages, options);
    sequences.postIncrement(`${to}:0`, records.length, 0);
    return Number(responses[0].partitionResponses[0].baseOffset) + records.length;
  };
  const producer = await identify(undefined);
  const transactionalId = "platformatic-requests";
  const writer = { ...(await persist(() => identify(transactionalId))), transactionalId };
  const end = () => endTxnV3.api.async(writing, transactionalId, writer.producerId, writer.producerEpoch, true);
  const begin = () => {
    const { producerId, producerEpoch } = writer;
    const named = [{ name: transactions, partitions: [0] }];
    return addPartitionsToTxnV3.api.async(writing, [{ transactionalId, producerId, producerEpoch, topics: named }]);
  };
  return {
    produce: (records) => append(topic, records, producer),
    read: (from, take) =>
      readAhead(from, take, async (offset, { bytesMax, waitMs }) => {
        const at = { partition: 0, currentLeaderEpoch: -1, fetchOffset: BigInt(offset), lastFetchedEpoch: -1 };
        const asked = [{ topicId, partitions: [{ ...at, partitionMaxBytes: bytesMax }] }];
        const how = [waitMs, 1, bytesMax, COMMITTED, 0, -1];
        const answer = await fetchV13.api.async(reading, ...how, asked, [], "");
        return fetched(answer.responses[0]?.partitions[0]?.records ?? [], offset);
      }),
    async transact(records) {
      await persist(begin);
      await append(transactions, records, writer);
      await persist(end);
    },
    close: () => Promise.all([writing.close(), reading.close()]),
  };
}

/** What is refused because the transaction before has not ended yet is asked again. */
async function persist(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error.findBy?.("apiCode", CONCURRENT_TRANSACTIONS) == null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

/** Records as the driver's interface has them. */
function fetched(batches, from) {
  const records = [];
  let next = from;
  for (const { firstOffset, firstTimestamp, lastOffsetDelta, producerId, attributes, records: of } of batches) {
    const [first, firstMs, producer] = [Number(firstOffset), Number(firstTimestamp), String(producerId)];
    const isTransactional = (attributes & platformatic.IS_TRANSACTIONAL) !== 0;
    next = Math.max(next, first + lastOffsetDelta + 1);
    if ((attributes & platformatic.IS_CONTROL) !== 0) continue;
    for (const { offsetDelta, timestampDelta, key, value, headers } of of) {
      const offset = first + offsetDelta;
      if (offset < from) continue;
      const named = {};
      for (const [name, content] of headers) named[name.toString()] = content;
      const timestampMs = firstMs + Number(timestampDelta);
      records.push({ offset, timestampMs, key, value, headers: named, producer, isTransactional });
    }
  }
  return { records, next };
}
