/** Edges over NATS, and what one would write by hand on the same server. */
import { createRequire } from "node:module";
import { RowBatch, systemEnv } from "@millrace/engine";
import { natsTransport } from "@millrace/streams/nats";
import { CREDIT, durableEdge, FRAME_ROWS, handmade, packed, ROW, ROWS, taken, unpacked } from "./edge-rows.mjs";

const { Packr, Unpackr } = createRequire(import.meta.resolve("@millrace/engine"))("msgpackr");
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
const { AckPolicy, connect, DiscardPolicy, RetentionPolicy } = createRequire(
  import.meta.resolve("@millrace/streams/nats"),
)("nats");
/** Rows on their way before the sender waits for the server, and messages at least. */
const PENDING_MAX = 8192;
const MESSAGES_PENDING_MIN = 32;

/** Subscribes, and resolves `received` when so many rows have come. */
function counted(connection, subject, rowsOf) {
  let left = 0;
  let done = () => undefined;
  connection.subscribe(subject, {
    callback: (_, message) => {
      left -= rowsOf(message.data);
      if (left <= 0) done();
    },
  });
  return {
    expect(n) {
      left = n;
      return new Promise((resolve) => {
        done = resolve;
      });
    },
  };
}

/** Messages from one client to another: `make` gives each, `take` says how many rows it had. */
async function overCore(address, subject, { perMessage, make, take }) {
  const [sender, receiver] = [await connect({ servers: address }), await connect({ servers: address })];
  const count = counted(receiver, subject, take);
  await receiver.flush();
  const flushEach = Math.max(MESSAGES_PENDING_MIN, PENDING_MAX / perMessage);
  return {
    async run(n) {
      const received = count.expect(n);
      for (let i = 0; i < n / perMessage; i++) {
        sender.publish(subject, make(i));
        if (i % flushEach === flushEach - 1) await sender.flush();
      }
      await received;
    },
    close: () => Promise.all([sender.close(), receiver.close()]),
  };
}

async function awaited(address) {
  const connection = await connect({ servers: address });
  const manager = await connection.jetstreamManager();
  await manager.streams.add({ name: "AWAITED", subjects: ["awaited"], max_msgs: PENDING_MAX });
  const jetStream = connection.jetstream();
  return {
    async run(n) {
      for (let i = 0; i < n; i++) await jetStream.publish("awaited", ROW);
    },
    close: () => connection.close(),
  };
}

/** A work queue of JetStream as its manual has it: each message published, acknowledged by the server, consumed, acknowledged. */
async function queueByHand(address) {
  const [sender, receiver] = [await connect({ servers: address }), await connect({ servers: address })];
  const manager = await sender.jetstreamManager();
  const limits = { retention: RetentionPolicy.Workqueue, discard: DiscardPolicy.New, max_msgs: PENDING_MAX };
  await manager.streams.add({ name: "QUEUE", subjects: ["queue"], ...limits });
  await manager.consumers.add("QUEUE", { durable_name: "reader", ack_policy: AckPolicy.Explicit });
  const consumer = await receiver.jetstream().consumers.get("QUEUE", "reader");
  let came = () => undefined;
  const messages = await consumer.consume({
    max_messages: CREDIT,
    callback: (message) => {
      message.ack();
      came();
    },
  });
  const jetStream = sender.jetstream();
  return handmade({
    publish: (body) => jetStream.publish("queue", body),
    receive: (each) => {
      came = each;
    },
    async close() {
      await messages.close();
      await Promise.all([sender.close(), receiver.close()]);
    },
  });
}

/**
 * @param {string} address of a server
 * @returns {Promise<Record<string, { n: number, run: (n: number) => Promise<void>, close: () => Promise<unknown> }>>}
 */
export async function natsPeers(address) {
  const open = () =>
    natsTransport({ env: systemEnv(), servers: { endpoints: [address] }, stream: "EDGES", prefix: "edges" });
  const rows = new RowBatch(ROWS);
  const columns = unpacked(packed(rows));
  const bare = { perMessage: 1, make: () => ROW, take: () => 1 };
  const single = { perMessage: 1, make: (i) => packed(rows.slice(i % FRAME_ROWS, (i % FRAME_ROWS) + 1)), take: taken };
  const rowOf = (i) => ROWS[i % FRAME_ROWS];
  const msgpack = {
    perMessage: 1,
    make: (i) => packr.pack(rowOf(i)),
    take: (body) => (unpackr.unpack(body).seq > 0 ? 1 : 0),
  };
  const byHand = {
    perMessage: 1,
    make: (i) => Buffer.from(JSON.stringify(rowOf(i))),
    take: (body) => (JSON.parse(Buffer.from(body).toString()).seq > 0 ? 1 : 0),
  };
  const framed = (batch) => ({ perMessage: FRAME_ROWS, make: () => packed(batch), take: taken });
  return {
    [DURABLE]: { n: 400 * FRAME_ROWS, ...(await durableEdge(open)), byHand: await queueByHand(address) },
    [BARE]: { n: 200 * FRAME_ROWS, ...(await overCore(address, "bare", bare)) },
    [SINGLE]: { n: 100 * FRAME_ROWS, ...(await overCore(address, "single", single)) },
    [MSGPACK]: { n: 100 * FRAME_ROWS, ...(await overCore(address, "msgpack", msgpack)) },
    [JSON_ROWS]: { n: 100 * FRAME_ROWS, ...(await overCore(address, "json", byHand)) },
    [FRAMED]: { n: 1000 * FRAME_ROWS, ...(await overCore(address, "framed", framed(rows))) },
    [COLUMNS]: { n: 2000 * FRAME_ROWS, ...(await overCore(address, "columns", framed(columns))) },
    [AWAITED]: { n: 4 * FRAME_ROWS, ...(await awaited(address)) },
  };
}

export const DURABLE = "edge over JetStream";
const BARE = "bare client, core NATS";
const SINGLE = "core NATS, a row in a frame";
const MSGPACK = "bare client and msgpackr of the row";
const JSON_ROWS = "bare client and JSON of the row";
const FRAMED = "core NATS, frames of rows";
const COLUMNS = "core NATS, frames of columns";
const AWAITED = "each publish awaited, JetStream";

/** Which rate is divided by which. */
export const NATS_RATIOS = {
  bareNats: [SINGLE, BARE],
  msgpackNats: [SINGLE, MSGPACK],
  jsonNats: [SINGLE, JSON_ROWS],
  bareNatsFramed: [FRAMED, BARE],
  bareNatsColumns: [COLUMNS, BARE],
  bareNatsDurable: [DURABLE, BARE],
  jetStreamAwait: [DURABLE, AWAITED],
};
