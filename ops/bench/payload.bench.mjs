/**
 * Hand-over of large payloads by reference against what would be done without: a copy, a structured clone to another thread,
 * bytes parsed again. Needs the native addon. Ratios of times, medians; all peers in the same run:
 *
 * - `memcpy10MB`, `postMessage10MB`: how many references to 10 MB are taken and given back in the time of one copy, or of one
 *   message between threads. Reading costs what memory costs, and a page fault for the first byte of a page: printed beside
 * - `emptyToken`: round trip between two processes with a 10 MB reference, which the other side takes and reads from, to one
 *   with the same token that it leaves alone
 * - `tenMBto10KB`: a reference to 10 MB to one to 10 KB, each with a view of its own that is detached. `hundredMBto10KB`: one to 100 MB
 *   to one to 10 KB, each read as edges and sinks do, as a part of the file that holds it; `hundredMBViewTo10KB` with a view of its own: V8
 *   counts what an ArrayBuffer shows as memory of its own, and begins a collection with each that shows more than 64 MiB
 * - `putToMemcpy`: 10 MB reserved, written in place and published, to a copy into memory that is not in the cache either
 * - `jsonParseArrow`: rows parsed from JSON to the same rows opened as an Arrow table from a reference
 * - `ndjsonToArrow`: NDJSON rows parsed by `JSON.parse` and appended to builders of apache-arrow, to the same rows read by the native
 *   kernels and their frames taken as Arrow tables: CPU time of both, a process for each
 * - `fanOutHeader`, `fanOutRead`: 10 MB sent through sockets to eight processes, to a reference that each of them takes; the first looks
 *   at the first byte, the second at every byte, on both sides of the ratio
 *
 * `exchange` is a whole hand-over in this process by size, in microseconds, beside what the specification claims of another product
 * (`claimedUs`): by reference, numbers are put, their reference taken, the first and the last read, all given back; inline, they are made
 * the text that a message carries, and opened. `way` is the one that Millrace takes by default; `verdict` is of that one, `byReference` of
 * the other where they differ. `timesFaster` is how many references the same numbers take as JSON, written and parsed.
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { inlineValue, PayloadIntake, payloadOf } from "@millrace/engine";
import { addonState, openMappedPayloadStore } from "@millrace/native";
import { Dictionary, Float64, Int32, Table, tableFromIPC, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { buildAddon } from "../bin/native.mjs";
import { arrowFigures } from "./ingest.bench.mjs";
import { measureSingly } from "./measure.mjs";
import { startConsumers } from "./payload/consumers.mjs";

const MB = 1_000_000;
const ROWS = 500_000;
/** More than a last-level cache holds, as the pages of the store are. */
const TARGETS = 8;
const ROUND_TRIPS = 200;
/** First byte of a line whose payload is to be taken: `+`. */
const TAKEN = 0x2b;
const CONSUMERS = 8;
/** Sizes in bytes, how often each is exchanged in a round, and the microseconds that are claimed. */
const EXCHANGED = [
  ["1 KB", 1000, 200, 5],
  ["10 KB", 10_000, 200, 10],
  ["100 KB", 100_000, 50, 50],
  ["1 MB", MB, 10, 200],
  ["10 MB", 10 * MB, 5, 2000],
];
/** One in so many exchanges is done as JSON too. */
const JSON_SHARE = 10;

const memoryDir = () =>
  mkdtempSync(join(statSync("/dev/shm", { throwIfNoEntry: false }) ? "/dev/shm" : tmpdir(), "millrace-bench-"));

export async function main({ repeats = 21 } = {}) {
  const { lacks, failed } = buildAddon();
  const state = addonState();
  if (!state.inUse) throw new Error(`this bench needs the native addon: ${lacks ?? failed ?? state.reason}`);
  const dir = memoryDir();
  const store = openMappedPayloadStore({ dir, bytesMax: 512 * MB });
  try {
    return await figures(store, dir, repeats);
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function figures(store, dir, repeats) {
  const local = await measureSingly(await localVariants(store), { repeats });
  const peer = await startPeer(dir);
  const remote = await measureSingly(await remoteVariants(store, peer), { repeats });
  peer.close();
  const consumers = await startConsumers(dir, CONSUMERS);
  const fanned = await measureSingly(await fanOutVariants(store, consumers), { repeats: Math.ceil(repeats / 3) });
  consumers.close();
  const exchanged = await measureSingly(exchangeVariants(store), { repeats });
  const ingested = await arrowFigures({ repeats: Math.ceil(repeats / 7) });
  for (const [name, { ns, min, max }] of [...local, ...remote, ...fanned, ...exchanged, ...ingested.figures]) {
    const microseconds = [ns, min, max].map((value) => (value / 1000).toFixed(2));
    process.stderr.write(
      `  ${name.padEnd(46)} ${microseconds[0].padStart(12)} us [${microseconds[1]} … ${microseconds[2]}]\n`,
    );
  }
  const over = (all, a, b) => Number((all.get(a).ns / all.get(b).ns).toPrecision(4));
  return {
    ratios: {
      memcpy10MB: over(local, COPY, REFERENCE),
      postMessage10MB: over(local, CLONE, REFERENCE),
      emptyToken: over(remote, ROUND_TRIP, EMPTY),
      tenMBto10KB: over(local, REFERENCE, SMALL),
      hundredMBto10KB: over(local, LARGE_PART, SMALL_PART),
      hundredMBViewTo10KB: over(local, LARGE, SMALL),
      putToMemcpy: over(local, PUT, COLD_COPY),
      jsonParseArrow: over(local, JSON_ROWS, ARROW_ROWS),
      ndjsonToArrow: ingested.ratio,
      fanOutHeader: over(fanned, SENT, HANDED),
      fanOutRead: over(fanned, SENT_READ, HANDED_READ),
    },
    exchange: await exchangeFigures(exchanged),
    ns: Object.fromEntries(
      [...local, ...remote, ...fanned, ...ingested.figures].map(([name, { ns }]) => [name, Math.round(ns)]),
    ),
  };
}

const COPY = "copy of 10 MB";
const COLD_COPY = "copy of 10 MB to memory out of the cache";
const CLONE = "postMessage of 10 MB";
const REFERENCE = "reference to 10 MB";
const READ = "reference to 10 MB, first byte read";
const SMALL = "reference to 10 KB";
const LARGE = "reference to 100 MB";
const SMALL_PART = "reference to 10 KB, read as a part of its file";
const LARGE_PART = "reference to 100 MB, read as a part of its file";
const PUT = "put of 10 MB in place";
const JSON_ROWS = "JSON.parse of the rows";
const ARROW_ROWS = "Arrow table of the rows";
const EMPTY = "round trip with a token left alone";
const SENT = "10 MB to eight processes by sockets";
const SENT_READ = "10 MB to eight processes by sockets, read";
const HANDED = "10 MB to eight processes by reference";
const HANDED_READ = "10 MB to eight processes by reference, read";
const EXCHANGE = "exchange of ";
const INLINE = "inline exchange of ";
const SERIALISED = "JSON of ";
const ROUND_TRIP = "round trip with a reference to 10 MB";

async function localVariants(store) {
  const source = Buffer.alloc(10 * MB, 7);
  const targets = Array.from({ length: TARGETS }, () => Buffer.alloc(10 * MB, 1));
  const large = await putOf(store, source, "raw");
  const small = await putOf(store, Buffer.alloc(10_000, 7), "raw");
  const huge = await putOf(store, Buffer.alloc(100 * MB, 7), "raw");
  const { json, arrow } = sampleRows();
  const rows = await putOf(store, arrow, "arrow");
  let turn = 0;
  return [
    { name: COPY, n: 10, run: () => source.copy(targets[0]) },
    { name: COLD_COPY, n: 10, run: () => source.copy(targets[turn++ % TARGETS]) },
    { name: CLONE, n: 3, run: cloneOver(source) },
    { name: REFERENCE, n: 200, run: () => take(store, large) },
    { name: SMALL, n: 200, run: () => take(store, small) },
    { name: LARGE, n: 200, run: () => take(store, huge) },
    { name: SMALL_PART, n: 200, run: () => readPart(store, small) },
    { name: LARGE_PART, n: 200, run: () => readPart(store, huge) },
    { name: READ, n: 200, run: () => read(store, large) },
    { name: PUT, n: 10, run: putInPlace(store, source) },
    { name: JSON_ROWS, n: 1, run: () => must(JSON.parse(json).length === ROWS) },
    { name: ARROW_ROWS, n: 20, run: () => openTable(store, rows) },
  ];
}

async function putOf(store, bytes, format) {
  const token = await store.put(bytes, format);
  must(token !== undefined);
  return token;
}

function must(holds) {
  if (!holds) throw new Error("a variant did not do its work");
}

async function take(store, token) {
  const lease = await store.acquire(token);
  must(lease.bytes.length === token.length);
  must(lease.release());
}

async function read(store, token) {
  const lease = await store.acquire(token);
  must(lease.bytes[0] === 7);
  must(lease.release());
}

async function readPart(store, token) {
  const lease = await store.acquire(token);
  must(lease.read((bytes) => bytes[0] + bytes.length) === 7 + token.length);
  must(lease.release());
}

async function openTable(store, token) {
  const lease = await store.acquire(token);
  must(tableFromIPC(lease.bytes).numRows === ROWS);
  must(lease.release());
}

/** What is put is let go when later ones are there, as a producer does whose last outputs are still on their way. */
function putInPlace(store, source) {
  const last = [];
  return async () => {
    if (last.length > 2) void store.discard(last.shift());
    const reservation = store.reserve(source.length, "raw");
    reservation.bytes.set(source);
    last.push(reservation.publish());
    must(last.at(-1) !== undefined);
  };
}

function cloneOver(source) {
  const { port1, port2 } = new MessageChannel();
  return () => {
    port1.postMessage(source);
    must(receiveMessageOnPort(port2).message.length === source.length);
  };
}

function sampleRows() {
  const rows = Array.from({ length: ROWS }, (_, i) => ({ id: i, delay: i / 7, airport: `A${i % 300}`, gate: i % 40 }));
  const column = (name, type) =>
    vectorFromArray(
      rows.map((row) => row[name]),
      type,
    );
  const columns = {
    id: column("id", new Int32()),
    delay: column("delay", new Float64()),
    airport: column("airport", new Dictionary(new Utf8(), new Int32())),
    gate: column("gate", new Int32()),
  };
  return { json: JSON.stringify(rows), arrow: tableToIPC(new Table(columns), "stream") };
}

const numbersOf = (bytes) => Float64Array.from({ length: bytes / 8 }, (_, i) => i / 7);

/** As a producer and a consumer do it in turn. */
function exchangeVariants(store) {
  return EXCHANGED.flatMap(([size, bytes, n]) => {
    const numbers = numbersOf(bytes);
    return [
      { name: EXCHANGE + size, n, run: () => exchange(store, numbers) },
      { name: INLINE + size, n, run: () => exchangeInline(numbers) },
      { name: SERIALISED + size, n: Math.ceil(n / JSON_SHARE), run: () => serialise(numbers) },
    ];
  });
}

async function exchange(store, numbers) {
  const token = await putOf(store, new Uint8Array(numbers.buffer), "raw");
  const lease = await store.acquire(token);
  const { buffer, byteOffset, byteLength } = lease.bytes;
  const read = new Float64Array(buffer, byteOffset, byteLength / 8);
  must(read[0] === 0 && read.at(-1) === numbers.at(-1));
  must(lease.release());
  await store.discard(token);
}

function exchangeInline(numbers) {
  const { bytes } = payloadOf(inlineValue({ format: "raw", bytes: new Uint8Array(numbers.buffer) }));
  const read = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  must(read[0] === 0 && read.at(-1) === numbers.at(-1));
}

/** What a node does with so many bytes that one other node reads. */
async function wayOf(bytes) {
  const reference = { sha256: "0".repeat(64), format: "raw", length: bytes };
  const intake = new PayloadIntake(() => ({ intern: async () => reference }), { readers: 1 });
  const { $payload } = await intake.take(new Uint8Array(bytes), "raw", undefined);
  return $payload.sha256 === undefined ? "inline" : "reference";
}

function serialise(numbers) {
  must(JSON.parse(JSON.stringify(Array.from(numbers))).at(-1) === numbers.at(-1));
}

async function exchangeFigures(figures) {
  const microseconds = (name) => Number((figures.get(name).ns / 1000).toPrecision(3));
  const found = {};
  for (const [size, bytes, , claimedUs] of EXCHANGED) {
    const [referenceUs, inlineUs] = [microseconds(EXCHANGE + size), microseconds(INLINE + size)];
    const way = await wayOf(bytes);
    const judged = (us) => (us < claimedUs ? "faster" : "slower");
    const verdict = judged(way === "inline" ? inlineUs : referenceUs);
    const byReference = judged(referenceUs);
    const timesFaster = Math.round(figures.get(SERIALISED + size).ns / figures.get(EXCHANGE + size).ns);
    found[size] = { claimedUs, way, verdict, byReference, inlineUs, referenceUs, timesFaster };
  }
  return found;
}

async function fanOutVariants(store, consumers) {
  const source = Buffer.alloc(10 * MB, 7);
  const token = await putOf(store, source, "raw");
  return [
    { name: SENT, n: 1, run: () => consumers.send(source, "first") },
    { name: SENT_READ, n: 1, run: () => consumers.send(source, "all") },
    { name: HANDED, n: 5, run: () => consumers.hand(token, "first") },
    { name: HANDED_READ, n: 5, run: () => consumers.hand(token, "all") },
  ];
}

/** Another process with the same store behind a Unix socket. It answers each line with one byte. */
async function startPeer(dir) {
  const path = join(dir, "peer.sock");
  const child = fork(import.meta.filename, ["--peer", dir, path]);
  await new Promise((ready, failed) => {
    child.once("message", ready);
    child.once("exit", () => failed(new Error("the peer process ended")));
  });
  const socket = createConnection(path);
  socket.setNoDelay(true);
  let answered;
  socket.on("data", () => answered());
  return {
    ask(line) {
      socket.write(line);
      return new Promise((resolve) => {
        answered = resolve;
      });
    },
    close() {
      socket.destroy();
      child.kill();
    },
  };
}

async function remoteVariants(store, peer) {
  const token = JSON.stringify(await putOf(store, Buffer.alloc(10 * MB, 7), "raw"));
  // The same line, parsed the same; only the first byte says whether the payload is taken.
  return [
    { name: EMPTY, n: ROUND_TRIPS, run: () => peer.ask(`-${token}\n`) },
    { name: ROUND_TRIP, n: ROUND_TRIPS, run: () => peer.ask(`+${token}\n`) },
  ];
}

async function servePeer(dir, path) {
  const store = openMappedPayloadStore({ dir, bytesMax: MB });
  const answer = Buffer.from("1");
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("data", async (line) => {
      const token = JSON.parse(line.toString("latin1", 1, line.length - 1));
      if (line[0] !== TAKEN) {
        socket.write(answer);
        return;
      }
      // As a step does: read, see that it was the payload, pass on, give back.
      const lease = await store.acquire(token);
      must(lease.bytes[0] === 7 && lease.isValid());
      socket.write(answer);
      must(lease.release());
    });
  });
  server.listen(path, () => process.send("ready"));
}

if (process.argv[2] === "--peer") await servePeer(process.argv[3], process.argv[4]);
