/**
 * How fast a projection folds rows from the log into LMDB: 200 000 rows as a projection sink logs them, with rows and
 * checkpoint in one durable transaction per 4096 rows. Beside it, on stores of their own, the same number of puts of keys and
 * values that are bytes already (the limit), and the same rows put one by one as JSON.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeBatch, encodeStep, RowBatch, STEP, systemEnv } from "@millrace/engine";
import { openLmdbStore } from "@millrace/native";
import { projectionRunner, tableProjection } from "@millrace/projections";
import { memoryEventLog } from "@millrace/streams/memory";
import { measure } from "./measure.mjs";

const ROWS = 200_000;
const FRAME = 1000;
const TRANSACTION = 4096;
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2001, 0, 1);
const KEY = ["origin", "window_start"];

const env = systemEnv();

/** Rows like those of the flights demo: 300 origins, each hour once. */
function row(i) {
  const start = START_MS + Math.floor(i / 46) * HOUR_MS;
  const origin = (i * 7919) % 300;
  return {
    origin: `A${String(origin).padStart(3, "0")}`,
    window_start: new Date(start).toISOString(),
    window_end: new Date(start + HOUR_MS).toISOString(),
    flights: i % 50,
    mean_delay: i / 7,
    worst: i % 300,
    airport: `Airport of the city ${origin}`,
    score: i / 11,
  };
}

async function logOf(rows) {
  const log = memoryEventLog({ env });
  for (let i = 0; i < ROWS; i += FRAME) {
    const id = env.random.bytes(16);
    const state = [{ rows: encodeBatch(new RowBatch(rows.slice(i, i + FRAME))) }];
    const nothing = { inputs: [], opened: [], recorded: [], emitted: [], dead: [], dropped: [] };
    const payload = encodeStep({ at: 0, ...nothing, state, out: { watermark: 0, idle: false } });
    const who = {
      principal: "bench",
      tenant: "",
      codeVersion: "",
      graph: "g",
      graphRevision: 1,
      node: "board",
      epoch: 1,
    };
    const context = { causationId: id, correlationId: id, ...who };
    await log.append([
      { stream: "g/board", expected: "any", events: [{ id, type: STEP, schemaVersion: 1, context, payload }] },
    ]);
  }
  return log;
}

async function withStore(use) {
  const dir = mkdtempSync(join(tmpdir(), "millrace-projection-bench-"));
  const store = await openLmdbStore({ dir });
  try {
    await use(store);
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Folds the log into a fresh store. */
function fold(log, rowsWanted) {
  return withStore(async (store) => {
    const projection = tableProjection({ name: "board", streams: ["g/board"], key: KEY });
    const runner = projectionRunner({ log, store, env, projections: [projection], transactionRowsMax: TRANSACTION });
    runner.start();
    await runner.reached(log.durableEnd);
    const [status] = runner.list();
    await runner.stop();
    if (status.rows !== rowsWanted) throw new Error(`${status.rows} rows, not ${rowsWanted}`);
  });
}

/** Puts entries made by `entry` in transactions of the same size. */
function put(n, entry) {
  return withStore(async (store) => {
    for (let i = 0; i < n; i += TRANSACTION) {
      await store.transact((tx) => {
        for (let j = i; j < Math.min(n, i + TRANSACTION); j++) tx.put("t", ...entry(j));
      });
    }
  });
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 5 } = {}) {
  const rows = Array.from({ length: ROWS }, (_, i) => row(i));
  const distinct = new Set(rows.map((r) => `${r.origin} ${r.window_start}`)).size;
  const log = await logOf(rows);
  const keys = rows.map((r) => Buffer.from(`${r.origin}${r.window_start}`));
  const value = Buffer.alloc(110, 7);
  const figures = await measure(
    [
      { name: "fold", n: ROWS, run: () => fold(log, distinct) },
      { name: "rawPuts", n: ROWS, run: () => put(ROWS, (i) => [keys[i], value]) },
      { name: "jsonPuts", n: ROWS, run: () => put(ROWS, (i) => [keys[i], Buffer.from(JSON.stringify(rows[i]))]) },
    ],
    { repeats },
  );
  const of = (name) => figures.get(name);
  return {
    rows: distinct,
    rowsPerSecond: Math.round(1e9 / of("fold").wallNs),
    cpuNsPerRow: Math.round(of("fold").ns),
    ratios: { rawPuts: round(of("rawPuts").ns / of("fold").ns), jsonPuts: round(of("jsonPuts").ns / of("fold").ns) },
  };
}

const round = (ratio) => Math.round(ratio * 100) / 100;
