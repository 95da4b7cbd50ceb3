/** The rows that cross edges in the bench, and an edge between two hosts as the engine has it: encoded, carried, decoded, acknowledged. */
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { filter } from "@millrace/actors";
import { compileExpression, decodeBatch, encodeBatch, RowBatch } from "@millrace/engine";

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

/** Takes half of the rows or so, as an actor behind the edge would. */
const actor = filter({ where: compileExpression("event.value >= 62") });

/** The frame as an edge has it on the wire. */
export const packed = (batch) => packr.pack(encodeBatch(batch));

/** As columns, if rows are of one shape. */
export const unpacked = (body) => decodeBatch(unpackr.unpack(body));

/** Decodes a frame and lets the actor have it; the rows that there were. */
export function taken(body) {
  const batch = unpacked(body);
  if (actor.transform(batch).failures.length > 0) throw new Error("a row was not read");
  return batch.n;
}

const PACED_SECONDS = 5;
/** How long a frame waits for more rows. */
const LINGER_MS = 5;
/** The part of a paced run in which compilers and caches settle. */
const SETTLING = 1 / 3;

/** An edge from one client to another; `open` makes a transport. */
export async function durableEdge(open) {
  const [sender, receiver] = [open(), open()];
  let left = 0;
  let done = () => undefined;
  let came = () => undefined;
  const subscription = await receiver.subscribe(
    "edge",
    (delivery) => {
      const n = taken(delivery.body);
      came();
      delivery.ack();
      subscription.grant(1);
      left -= n;
      if (left <= 0) done();
    },
    { credit: CREDIT },
  );
  /** Rows come evenly, so many in a second; ms from when the first row of a frame came to when the actor had read it, the 99th percentile. */
  const paced = async (rate) => {
    const total = Math.round(rate * PACED_SECONDS);
    const [began, bornAt, ages] = [performance.now(), [], []];
    const atMs = (i) => began + (i * 1000) / rate;
    left = total;
    came = () => ages.push(performance.now() - bornAt[ages.length]);
    const received = new Promise((resolve) => {
      done = resolve;
    });
    const underway = new Set();
    for (let sent = 0; sent < total; ) {
      const due = Math.min(total, Math.floor(((performance.now() - began) * rate) / 1000)) - sent;
      const isLate = performance.now() - atMs(sent) >= LINGER_MS;
      if (due <= 0 || (due < FRAME_ROWS && !isLate)) {
        await sleep(1);
        continue;
      }
      const n = Math.min(due, FRAME_ROWS);
      bornAt.push(atMs(sent));
      sent += n;
      if (underway.size >= UNACCEPTED_MAX) await Promise.race(underway);
      const body = packed(new RowBatch(ROWS.slice(0, n)));
      const accepted = sender.publish("edge", { headers: {}, body }).then(() => underway.delete(accepted));
      underway.add(accepted);
    }
    await Promise.all([received, ...underway]);
    came = () => undefined;
    const settled = ages.slice(Math.floor(ages.length * SETTLING)).sort((a, b) => a - b);
    return settled[Math.floor(settled.length * 0.99)];
  };
  return {
    paced,
    async run(n) {
      left = n;
      const received = new Promise((resolve) => {
        done = resolve;
      });
      const underway = new Set();
      for (let sent = 0; sent < n; sent += FRAME_ROWS) {
        if (underway.size >= UNACCEPTED_MAX) await Promise.race(underway);
        const body = packed(new RowBatch(ROWS));
        const accepted = sender.publish("edge", { headers: {}, body }).then(() => underway.delete(accepted));
        underway.add(accepted);
      }
      await Promise.all([received, ...underway]);
    },
    close: () => Promise.all([sender.close(), receiver.close()]),
  };
}
