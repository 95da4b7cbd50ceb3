/** The rows that cross edges in the bench, and an edge between two hosts as the engine has it: encoded, carried, decoded, acknowledged. */
import { createRequire } from "node:module";
import { decodeBatch, encodeBatch, RowBatch } from "@millrace/engine";

const { Packr, Unpackr } = createRequire(import.meta.resolve("@millrace/engine"))("msgpackr");
/** As the engine packs frames. */
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
export const ROW_BYTES = 128;
export const FRAME_ROWS = 1024;
const CREDIT = 32;
/** Frames of a lane that are on their way before the sender waits, as edges have it. */
const UNACCEPTED_MAX = 16;

const row = (i) => {
  const fields = { seq: i, key: `sensor-${i & 255}`, value: (i % 1000) / 8, note: "" };
  return { ...fields, note: "x".repeat(ROW_BYTES - JSON.stringify(fields).length) };
};
export const ROWS = Array.from({ length: FRAME_ROWS }, (_, i) => row(100_000 + i));
/** One of them as somebody would send it by hand. */
export const ROW = Buffer.from(JSON.stringify(ROWS[0]).slice(0, ROW_BYTES));

/** An edge from one client to another; `open` makes a transport. */
export async function durableEdge(open) {
  const [sender, receiver] = [open(), open()];
  let left = 0;
  let done = () => undefined;
  let sum = 0;
  const subscription = await receiver.subscribe(
    "edge",
    (delivery) => {
      const batch = decodeBatch(unpackr.unpack(delivery.body));
      for (const { value } of batch.rows()) sum += value;
      delivery.ack();
      subscription.grant(1);
      left -= batch.n;
      if (left <= 0) done();
    },
    { credit: CREDIT },
  );
  return {
    async run(n) {
      left = n;
      const received = new Promise((resolve) => {
        done = resolve;
      });
      const underway = new Set();
      for (let sent = 0; sent < n; sent += FRAME_ROWS) {
        if (underway.size >= UNACCEPTED_MAX) await Promise.race(underway);
        const body = packr.pack(encodeBatch(new RowBatch(ROWS)));
        const accepted = sender.publish("edge", { headers: {}, body }).then(() => underway.delete(accepted));
        underway.add(accepted);
      }
      await Promise.all([received, ...underway]);
      if (!(sum > 0)) throw new Error("no row was read");
    },
    close: () => Promise.all([sender.close(), receiver.close()]),
  };
}
