/** Edges over NATS, and what one would write by hand on the same server. */
import { createRequire } from "node:module";
import { systemEnv } from "@millrace/engine";
import { natsTransport } from "@millrace/streams/nats";
import { durableEdge, FRAME_ROWS, ROW, ROW_BYTES, ROWS } from "./edge-rows.mjs";

const { connect } = createRequire(import.meta.resolve("@millrace/streams/nats"))("nats");
const PENDING_MAX = 8192;

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

async function bareClient(address, subject, bytes, rowsOf) {
  const [sender, receiver] = [await connect({ servers: address }), await connect({ servers: address })];
  const count = counted(receiver, subject, rowsOf);
  await receiver.flush();
  const perMessage = rowsOf(bytes);
  return {
    async run(n) {
      const received = count.expect(n);
      const messages = n / perMessage;
      const flushEach = Math.max(1, PENDING_MAX / perMessage);
      for (let i = 0; i < messages; i++) {
        sender.publish(subject, bytes);
        if (i % flushEach === flushEach - 1) await sender.flush();
      }
      await received;
    },
    close: () => Promise.all([sender.close(), receiver.close()]),
  };
}

/** Splits by hand: rows of equal length, of which a byte each is read. */
function splitRows(data) {
  let rows = 0;
  for (let at = 0; at < data.length; at += ROW_BYTES) if (data[at] === ROW[0]) rows++;
  return rows;
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

/**
 * @param {string} address of a server
 * @returns {Promise<Record<string, { n: number, run: (n: number) => Promise<void>, close: () => Promise<unknown> }>>}
 */
export async function natsPeers(address) {
  const open = () =>
    natsTransport({ env: systemEnv(), servers: { endpoints: [address] }, stream: "EDGES", prefix: "edges" });
  const framed = Buffer.concat(ROWS.map(() => ROW));
  return {
    "edge over JetStream": { n: 400 * FRAME_ROWS, ...(await durableEdge(open)) },
    bareNats: { n: 200 * FRAME_ROWS, ...(await bareClient(address, "bare", ROW, () => 1)) },
    bareNatsFramed: { n: 2000 * FRAME_ROWS, ...(await bareClient(address, "framed", framed, splitRows)) },
    jetStreamAwait: { n: 4 * FRAME_ROWS, ...(await awaited(address)) },
  };
}
