/**
 * An edge between two hosts over NATS against what one would write by hand on the same server in the same run. The edge is the
 * durable one that `via: nats` leads over: rows are encoded as frames, published to JetStream, delivered, decoded, every row read
 * as an actor would, and acknowledged. Rates of rows by the clock, medians, interleaved; each row is 128 bytes as JSON:
 *
 * - `bareNats`: to the client's own publish and subscribe without JetStream, a message for each row, bytes that nobody encodes
 * - `bareNatsFramed`: to the same with 1024 rows in a message, split by hand
 * - `jetStreamAwait`: to awaiting the publication of each row by JetStream
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { decodeBatch, encodeBatch, RowBatch, systemEnv } from "@millrace/engine";
import { natsTransport } from "@millrace/streams/nats";
import { natsServerBinaries } from "../bin/setup.mjs";
import { measure } from "./measure.mjs";

const { connect } = createRequire(import.meta.resolve("@millrace/streams/nats"))("nats");
const { Packr, Unpackr } = createRequire(import.meta.resolve("@millrace/engine"))("msgpackr");
/** As the engine packs frames. */
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
const ROW_BYTES = 128;
const FRAME_ROWS = 1024;
const PENDING_MAX = 8192;
const CREDIT = 32;
const START_MS = 10_000;

const row = (i) => {
  const fields = { seq: i, key: `sensor-${i & 255}`, value: (i % 1000) / 8, note: "" };
  return { ...fields, note: "x".repeat(ROW_BYTES - JSON.stringify(fields).length) };
};
const ROWS = Array.from({ length: FRAME_ROWS }, (_, i) => row(100_000 + i));
const ROW = Buffer.from(JSON.stringify(ROWS[0]).slice(0, ROW_BYTES));

/** @returns the server's address and how to stop it */
async function startServer() {
  const binary = natsServerBinaries().at(-1);
  if (binary === undefined) throw new Error("this bench needs nats-server (npm test installs it)");
  const directory = mkdtempSync(join(tmpdir(), "millrace-edge-bench-"));
  const args = ["-a", "127.0.0.1", "-p", "-1", "--jetstream", "--store_dir", directory, "--ports_file_dir", directory];
  const server = spawn(binary, args, { stdio: "ignore" });
  const untilMs = performance.now() + START_MS;
  for (;;) {
    const file = readdirSync(directory).find((name) => name.endsWith(".ports"));
    if (file !== undefined) {
      const [address] = JSON.parse(readFileSync(join(directory, file), "utf8")).nats;
      return {
        address: address.replace("nats://", ""),
        stop() {
          server.kill();
          rmSync(directory, { recursive: true, force: true });
        },
      };
    }
    if (performance.now() > untilMs || server.exitCode !== null) throw new Error(`${binary} does not start`);
    await sleep(20);
  }
}

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

async function durableEdge(address) {
  const env = systemEnv();
  const open = () => natsTransport({ env, servers: { endpoints: [address] }, stream: "EDGES", prefix: "edges" });
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
      for (let sent = 0; sent < n; sent += FRAME_ROWS) {
        await sender.publish("edge", { headers: {}, body: packr.pack(encodeBatch(new RowBatch(ROWS))) });
      }
      await received;
      if (!(sum > 0)) throw new Error("no row was read");
    },
    close: () => Promise.all([sender.close(), receiver.close()]),
  };
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  const server = await startServer();
  const peers = {
    "durable edge, frames over JetStream": [await durableEdge(server.address), 400 * FRAME_ROWS],
    "bare client, a message each": [await bareClient(server.address, "bare", ROW, () => 1), 200 * FRAME_ROWS],
    "bare client, frames by hand": [
      await bareClient(server.address, "framed", Buffer.concat(ROWS.map(() => ROW)), splitRows),
      2000 * FRAME_ROWS,
    ],
    "JetStream, each publication awaited": [await awaited(server.address), 4 * FRAME_ROWS],
  };
  try {
    const variants = Object.entries(peers).map(([name, [peer, n]]) => ({
      name,
      n,
      run: (k) => peer.run(wholeFrames(k)),
    }));
    const figures = await measure(variants, { repeats, by: "wall" });
    const lines = [`edge   node ${process.version}, rows of ${ROW_BYTES} B per second, medians of ${repeats}`];
    for (const [name, { ns, min, max }] of figures) {
      const [rate, low, high] = [ns, max, min].map((each) => Math.round(1e9 / each).toLocaleString("en"));
      lines.push(`  ${name.padEnd(40)} ${rate.padStart(12)}/s  [${low} … ${high}]`);
    }
    process.stdout.write(`${lines.join("\n")}\n`);
    const [edge, ...others] = [...figures.values()].map(({ ns }) => ns);
    const [bareNats, bareNatsFramed, jetStreamAwait] = others.map((ns) => Number((ns / edge).toPrecision(3)));
    return { rowsPerSecond: Math.round(1e9 / edge), ratios: { bareNats, bareNatsFramed, jetStreamAwait } };
  } finally {
    await Promise.all(Object.values(peers).map(([peer]) => peer.close()));
    server.stop();
  }
}

const wholeFrames = (n) => Math.ceil(n / FRAME_ROWS) * FRAME_ROWS;
