/** The rows that cross edges in the bench, and an edge between two hosts as the engine has it: encoded, carried, decoded, acknowledged. */
import { setTimeout as sleep } from "node:timers/promises";
import { filter } from "@millrace/actors";
import { compileExpression, decodeFrame, encodeFrame, Frame, Positions, RowBatch, wholly } from "@millrace/engine";

export const ROW_BYTES = 128;
export const FRAME_ROWS = 1024;
export const CREDIT = 32;
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

let position = 100_000;

/** The next frame of a lane as an edge has it on the wire. */
export function packed(batch) {
  const first = position;
  position += batch.n;
  return encodeFrame(new Frame(headOf(first - 1, position - 1), batch, Positions.dense(first, batch.n)));
}

/** As a live source has it. */
const headOf = (from, to) => ({
  path: 3,
  generation: 1,
  epoch: 4,
  revision: 2,
  from: wholly(from),
  to: wholly(to),
  watermark: 1_700_000_000_123,
  exact: true,
  idle: false,
  mark: null,
  shed: 0,
  trace: null,
  bornMs: 0,
});

/** As columns, if rows are many of one shape. */
export const unpacked = (body) => decodeFrame(body, 0).batch;

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

/**
 * Rows come evenly, so many in a second; ms from when the first row of a frame came to when the receiver was done with it, the 99th
 * percentile. `publish` sends a frame of so many rows and resolves when it was accepted; `receiving` gets what the receiver has to call
 * with the rows of each frame, in order.
 */
export async function paced(rate, publish, receiving) {
  const total = Math.round(rate * PACED_SECONDS);
  const [began, bornAt, ages] = [performance.now(), [], []];
  const atMs = (i) => began + (i * 1000) / rate;
  let left = total;
  const received = new Promise((resolve) => {
    receiving((n) => {
      ages.push(performance.now() - bornAt[ages.length]);
      left -= n;
      if (left <= 0) resolve();
    });
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
    const accepted = publish(n).then(() => underway.delete(accepted));
    underway.add(accepted);
  }
  await Promise.all([received, ...underway]);
  const settled = ages.slice(Math.floor(ages.length * SETTLING)).sort((a, b) => a - b);
  return settled[Math.floor(settled.length * 0.99)];
}

/** The same with what one would write by hand: frames that nobody encodes or reads. `receive` is called with each. */
export function handmade({ publish, receive, close }) {
  const body = packed(new RowBatch(ROWS));
  const sizes = [];
  return {
    paced: (rate) =>
      paced(
        rate,
        (n) => {
          sizes.push(n);
          return publish(body);
        },
        (done) => receive(() => done(sizes.shift())),
      ),
    close,
  };
}

/** An edge from one client to another; `open` makes a transport. */
export async function durableEdge(open) {
  const [sender, receiver] = [open(), open()];
  let came = () => undefined;
  const subscription = await receiver.subscribe(
    "edge",
    (delivery) => {
      const n = taken(delivery.body);
      delivery.ack();
      subscription.grant(1);
      came(n);
    },
    { credit: CREDIT },
  );
  const publish = (rows) => sender.publish("edge", { headers: {}, body: packed(new RowBatch(rows)) });
  const receiving = (done) => {
    came = done;
  };
  return {
    paced: (rate) => paced(rate, (n) => publish(ROWS.slice(0, n)), receiving),
    async run(n) {
      let left = n;
      const received = new Promise((resolve) => {
        receiving((rows) => {
          left -= rows;
          if (left <= 0) resolve();
        });
      });
      const underway = new Set();
      for (let sent = 0; sent < n; sent += FRAME_ROWS) {
        if (underway.size >= UNACCEPTED_MAX) await Promise.race(underway);
        const accepted = publish(ROWS).then(() => underway.delete(accepted));
        underway.add(accepted);
      }
      await Promise.all([received, ...underway]);
    },
    close: () => Promise.all([sender.close(), receiver.close()]),
  };
}
