/**
 * The embedded log against what one would write by hand: a file that is appended to and synced for all waiting callers at once, the same
 * into a file of zeros, as the log writes, SQLite in WAL mode with full synchronisation, and LMDB. Every append is acknowledged only when
 * it is durable. What the log's followers cost, index and Merkle tree, is seen beside the log without them. Before that a replay of the log
 * with decoding against a scan of a plain file and of an LMDB table with the same decoding. One process, interleaved, medians of the repeats.
 * Last, how long a host is kept from other work by archiving a segment of its log.
 *
 * Every append encodes its event with msgpackr first, as a caller has to. What that costs with the callers' promises is the line "no
 * store, callers alone". Beside each rate stands the CPU time that the appending thread spends on one append, callers included: other
 * load does not change it, and a store whose share of it is larger than the difference of two lines cannot make up for it elsewhere.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { systemEnv } from "@millrace/engine";
import { nativeTreeHasher } from "@millrace/native";
import { openAuditTree } from "@millrace/projections";
import { systemDisk } from "@millrace/streams/embedded";
import { archiveTurns } from "./archive-turns.mjs";
import { benchContext } from "./bench-context.mjs";
import { median } from "./measure.mjs";
import { openLog } from "./open-log.mjs";

const APPENDERS = [64, 1024];
const WARM_UP_MS = 500;
const RUN_MS = 2000;
const REPLAY_EVENTS = 300_000;
const SEGMENT_BYTES = 64 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const LMDB_BYTES = 4 * 1024 ** 3;
const SQLITE = new URL("./peers/sqlite/", import.meta.url);

const { Packr } = createRequire(import.meta.resolve("@millrace/engine"))("msgpackr");
const lmdb = createRequire(import.meta.resolve("@millrace/native"))("lmdb");
const packr = new Packr({ structures: [] });
const PAD = "x".repeat(110);
const event = (i) => ({
  stream: `order-${i & 1023}`,
  seq: i,
  ts: 1.7e12 + i,
  type: "PriceChanged",
  key: `k${i}`,
  val: i * 1.5,
  pad: PAD,
});
const encode = (i) => packr.pack(event(i));
const STREAMS = Array.from({ length: 1024 }, (_, i) => `order-${i}`);

/** A file that is appended to: what waits is written and synced together, then the next. */
function plainFile(directory) {
  const fd = fs.openSync(join(directory, "plain"), "a");
  return groupCommit(fd, (bytes, done) => {
    fs.write(fd, bytes, 0, bytes.length, null, (failed) => {
      if (failed) throw failed;
      fs.fdatasync(fd, done);
    });
  });
}

/**
 * The same into a file of zeros, over and over, by writes that are durable when they return: how the log writes, with nothing else of
 * a log. What this is to the plain file is the most that any log could be.
 */
function zeroedFile(directory) {
  const path = join(directory, "zeroed");
  fs.writeFileSync(path, Buffer.alloc(SEGMENT_BYTES), { flush: true });
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_DSYNC);
  let end = 0;
  return groupCommit(fd, (bytes, done) => {
    const at = end + bytes.length > SEGMENT_BYTES ? 0 : end;
    end = at + bytes.length;
    fs.write(fd, bytes, 0, bytes.length, at, done);
  });
}

/** One `write(bytes, done)` at a time, of all that waits. */
function groupCommit(fd, write) {
  let parts = [];
  let waiting = [];
  let busy = false;
  const flush = () => {
    const acks = waiting;
    const bytes = Buffer.concat(parts);
    parts = [];
    waiting = [];
    write(bytes, (failed) => {
      if (failed) throw failed;
      for (const ack of acks) ack();
      if (parts.length > 0) flush();
      else busy = false;
    });
  };
  return {
    appender: () => (i) => {
      const payload = encode(i);
      const header = Buffer.allocUnsafe(4);
      header.writeUInt32LE(payload.length);
      parts.push(header, payload);
      return new Promise((resolve) => {
        waiting.push(resolve);
        if (busy) return;
        busy = true;
        queueMicrotask(flush);
      });
    },
    close: async () => fs.closeSync(fd),
  };
}

/** Keeps nothing and acknowledges in the next turn: what the callers themselves cost, which no store can be faster than. */
function nothing() {
  let waiting = [];
  const flush = () => {
    const acks = waiting;
    waiting = [];
    for (const ack of acks) ack();
  };
  return {
    appender: () => (i) => {
      encode(i);
      return new Promise((resolve) => {
        if (waiting.push(resolve) === 1) setImmediate(flush);
      });
    },
    close: async () => undefined,
  };
}

/** One transaction for all who wait in a turn of the loop. */
function sqlite(directory) {
  const Database = createRequire(new URL("package.json", SQLITE))("better-sqlite3");
  const db = new Database(join(directory, "sqlite"));
  db.pragma("journal_mode=WAL");
  db.pragma("synchronous=FULL");
  db.exec("create table e(id integer primary key, b blob)");
  const insert = db.prepare("insert into e(b) values(?)");
  const begin = db.prepare("begin");
  const commit = db.prepare("commit");
  let waiting = [];
  const flush = () => {
    const batch = waiting;
    waiting = [];
    begin.run();
    for (const { payload } of batch) insert.run(payload);
    commit.run();
    for (const { resolve } of batch) resolve();
  };
  return {
    appender: () => (i) =>
      new Promise((resolve) => {
        if (waiting.push({ payload: encode(i), resolve }) === 1) setImmediate(flush);
      }),
    close: async () => db.close(),
  };
}

/** As a plain store of events: numbers ascend, so pages fill up. Durable when the sync that follows a commit is done. */
function lmdbDurable(directory) {
  const db = lmdb.open({
    path: join(directory, "lmdb"),
    encoding: "binary",
    keyEncoding: "uint32",
    compression: false,
    mapSize: LMDB_BYTES,
  });
  let next = 0;
  return {
    db,
    appender: () => async (i) => {
      await db.put(next++, encode(i));
      await db.flushed;
    },
    close: () => db.close(),
  };
}

/** Reads nothing and writes nothing: the log as it would be without its index. */
const NO_INDEX = () => ({ jobEventsMax: 1 << 30, restShare: 0, index: async () => {}, close: async () => {} });

let logs = 0;

/** Put together as a host does it: the index on LMDB follows in a thread of its own, the Merkle tree in this one. */
const embedded = (directory) => openEmbedded(directory, {});
const withoutFollowers = (directory) => openEmbedded(directory, { followed: false });

/** `treed`: whether the Merkle tree is one of the followers. */
export async function openEmbedded(directory, { prepared = true, followed = true, treed = followed }) {
  const { log, close } = await openLog(directory, {
    segmentBytes: SEGMENT_BYTES,
    ...(followed ? {} : { indexer: NO_INDEX }),
    onFatal: (error) => {
      throw error;
    },
  });
  while (prepared && !log.health.nextSegmentReady) await new Promise((resolve) => setTimeout(resolve, 20));
  const tree = treed ? await openTree(log, directory) : undefined;
  const run = ++logs;
  const nobody = new Uint8Array(16);
  const context = benchContext(nobody, nobody);
  return {
    log,
    tree,
    appender: (caller) => {
      const id = new Uint8Array(16);
      const fields = new DataView(id.buffer);
      fields.setUint32(8, run);
      fields.setUint32(12, caller);
      let own = 0;
      return (i) => {
        fields.setUint32(0, own++);
        return log.append([
          {
            stream: STREAMS[i & 1023],
            expected: "any",
            events: [{ id, type: "PriceChanged", schemaVersion: 1, context, payload: encode(i) }],
          },
        ]);
      };
    },
    close: async () => {
      await tree?.stop();
      await close();
    },
  };
}

async function openTree(log, directory) {
  const tree = await openAuditTree({
    log,
    disk: systemDisk(),
    directory: join(directory, "audit"),
    env: systemEnv(),
    stopMsMax: 0,
    hasher: nativeTreeHasher(),
  });
  tree.start();
  return tree;
}

/** CPU time of this thread so far, in µs; NaN where the system does not tell. */
export function threadCpuUs() {
  try {
    return Number(fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]) / 1000;
  } catch {
    return Number.NaN;
  }
}

/** Events per second that `appenders` concurrent callers get acknowledged, once they have begun to, and the thread's CPU for one. */
async function rateOf(store, appenders) {
  let acknowledged = 0;
  let all = 0;
  const startCpuUs = threadCpuUs();
  const startMs = performance.now() + WARM_UP_MS;
  const endMs = startMs + RUN_MS;
  let lastMs = endMs;
  const caller = async (number) => {
    const append = store.appender(number);
    for (let i = number, nowMs = 0; nowMs < endMs; i += appenders) {
      await append(i);
      all++;
      nowMs = performance.now();
      if (nowMs >= startMs) acknowledged++;
      lastMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: appenders }, (_, number) => caller(number)));
  return { rate: (acknowledged * 1000) / (lastMs - startMs), cpuUs: (threadCpuUs() - startCpuUs) / all };
}

const STORES = {
  "embedded log": embedded,
  "… without index and tree": withoutFollowers,
  "plain append + fdatasync": plainFile,
  "plain writes into zeros": zeroedFile,
  "better-sqlite3 WAL FULL": sqlite,
  "lmdb, put and flushed": lmdbDurable,
  "no store, callers alone": nothing,
};

async function appendRates(repeats) {
  const rates = new Map();
  const cpu = new Map();
  for (let repeat = 0; repeat <= repeats; repeat++) {
    for (const appenders of APPENDERS) {
      for (const [name, open] of Object.entries(STORES)) {
        const directory = fs.mkdtempSync(join(tmpdir(), "millrace-log-bench-"));
        const store = await open(directory);
        globalThis.gc?.();
        const { rate, cpuUs } = await rateOf(store, appenders);
        await store.close();
        fs.rmSync(directory, { recursive: true });
        // The first round warms up code, page cache and journal.
        if (repeat === 0) continue;
        listIn(rates, `${name}/${appenders}`).push(rate);
        listIn(cpu, `${name}/${appenders}`).push(cpuUs);
      }
    }
  }
  return { rates, cpu };
}

async function replayRates(repeats) {
  const directory = fs.mkdtempSync(join(tmpdir(), "millrace-log-bench-"));
  const store = await embedded(directory);
  const append = store.appender(0);
  const table = lmdbDurable(directory);
  const fd = fs.openSync(join(directory, "plain"), "w");
  for (let i = 0; i < REPLAY_EVENTS; ) {
    const batch = [];
    const parts = [];
    for (const end = i + 1000; i < end; i++) {
      const payload = encode(i);
      const header = Buffer.allocUnsafe(4);
      header.writeUInt32LE(payload.length);
      parts.push(header, payload);
      batch.push(append(i), table.db.put(i, payload));
    }
    await Promise.all(batch);
    fs.writeSync(fd, Buffer.concat(parts));
  }
  fs.closeSync(fd);
  await store.log.indexed();
  const rates = new Map();
  for (let repeat = 0; repeat <= repeats; repeat++) {
    for (const [name, replay] of [
      ["embedded log", () => replayLog(store.log)],
      ["raw scan", () => replayFile(join(directory, "plain"))],
      ["lmdb range", () => replayTable(table.db)],
    ]) {
      globalThis.gc?.();
      const startedMs = performance.now();
      const count = await replay();
      if (count !== REPLAY_EVENTS) throw new Error(`${name} replayed ${count} of ${REPLAY_EVENTS} events`);
      if (repeat > 0) listIn(rates, name).push((count * 1000) / (performance.now() - startedMs));
    }
  }
  await store.close();
  await table.close();
  const openings = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const startedMs = performance.now();
    const again = await openEmbedded(directory, { prepared: false, followed: false });
    openings.push(performance.now() - startedMs);
    await again.close();
  }
  fs.rmSync(directory, { recursive: true });
  return { rates, openingMs: median(openings) };
}

async function replayLog(log) {
  let count = 0;
  for await (const events of log.read()) {
    for (const { payload } of events) if (packr.unpack(payload).seq >= 0) count++;
  }
  return count;
}

function replayTable(db) {
  let count = 0;
  for (const { value } of db.getRange({ snapshot: true })) if (packr.unpack(value).seq >= 0) count++;
  return count;
}

/** Length-prefixed records, a mebibyte at a time, without any check. */
async function replayFile(path) {
  const file = await fs.promises.open(path, "r");
  let count = 0;
  let rest = Buffer.alloc(0);
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES);
    if (bytesRead === 0) break;
    const bytes =
      rest.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    let at = 0;
    while (at + 4 <= bytes.length) {
      const end = at + 4 + bytes.readUInt32LE(at);
      if (end > bytes.length) break;
      if (packr.unpack(bytes.subarray(at + 4, end)).seq >= 0) count++;
      at = end;
    }
    rest = bytes.subarray(at);
  }
  await file.close();
  return count;
}

function listIn(map, key) {
  if (!map.has(key)) map.set(key, []);
  return map.get(key);
}

function line(name, rates, base, cpuUs) {
  const [low, high] = [Math.min(...rates), Math.max(...rates)].map((rate) => Math.round(rate / 1000));
  return `  ${name.padEnd(40)} ${Math.round(median(rates)).toLocaleString("en").padStart(12)}/s  ×${(median(rates) / base).toPrecision(3).padEnd(6)} [${low}k … ${high}k]${cpuUs === undefined ? "" : `  ${median(cpuUs).toFixed(2)} µs`}`;
}

/** better-sqlite3 compiles for a minute when it is first needed; it is in no install of the project itself, which runs no scripts. */
function installSqlite() {
  if (fs.existsSync(new URL("node_modules/better-sqlite3/build/Release/better_sqlite3.node", SQLITE))) return;
  process.stderr.write("installing better-sqlite3 for comparison (once, about a minute)\n");
  execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts=false"], {
    cwd: fileURLToPath(SQLITE),
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  installSqlite();
  // Before the appends, whose garbage and writes to the disk would slow it down.
  const { rates: replays, openingMs } = await replayRates(repeats);
  const { rates: appends, cpu } = await appendRates(repeats);
  const rate = (name) => median(appends.get(name));
  const lines = [
    `log   node ${process.version}, durable appends of ${encode(123_456).length} B per second, medians of ${repeats}`,
  ];
  for (const appenders of APPENDERS) {
    lines.push(` ${appenders} concurrent appenders; × the plain file; CPU of the appending thread for one append`);
    for (const name of Object.keys(STORES)) {
      const key = `${name}/${appenders}`;
      lines.push(line(name, appends.get(key), rate(`plain append + fdatasync/${appenders}`), cpu.get(key)));
    }
  }
  lines.push(" replay with decoding; × the raw scan");
  for (const [name, rates] of replays) lines.push(line(name, rates, median(replays.get("raw scan"))));
  lines.push(` opening that log again, scan of its segments included: ${openingMs.toFixed(0)} ms`);
  const { longestTurnCpuMs, longestDelayMs, ms } = await archiveTurns();
  const turn = longestTurnCpuMs === null ? "not known here" : `${longestTurnCpuMs} ms of a processor`;
  lines.push(
    ` archiving a segment in ${ms} ms: longest turn of the host's thread ${turn}, longest delay ${longestDelayMs} ms`,
  );
  process.stdout.write(`${lines.join("\n")}\n`);
  const against = (peer, appenders) =>
    Number((rate(`embedded log/${appenders}`) / rate(`${peer}/${appenders}`)).toFixed(3));
  const replayAgainst = (peer) => Number((median(replays.get("embedded log")) / median(replays.get(peer))).toFixed(3));
  const zeros = (appenders) =>
    Number((rate(`plain writes into zeros/${appenders}`) / rate(`plain append + fdatasync/${appenders}`)).toFixed(3));
  const cpuUs = Object.keys(STORES).map((name) => [name, Number(median(cpu.get(`${name}/1024`)).toFixed(2))]);
  return {
    cpuUsAt1024: Object.fromEntries(cpuUs),
    archive: { longestTurnCpuMs, longestDelayMs },
    openingMs: Math.round(openingMs),
    plainIntoZeros: { at64: zeros(64), at1024: zeros(1024) },
    ratios: {
      plainAppendAt1024: against("plain append + fdatasync", 1024),
      plainAppendAt64: against("plain append + fdatasync", 64),
      sqliteWalFull: against("better-sqlite3 WAL FULL", 1024),
      lmdbDurable: against("lmdb, put and flushed", 1024),
      withoutFollowers: against("… without index and tree", 1024),
      rawScan: replayAgainst("raw scan"),
      lmdbRange: replayAgainst("lmdb range"),
    },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const result = await main();
  if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify(result)}\n`);
}
