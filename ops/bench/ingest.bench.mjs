/**
 * What it costs to read a text file into frames: by TypeScript, by the native kernels, and by whom a team would use instead; beside
 * them a bare search for line ends, which no reader beats. CPU time of the whole process, threads included.
 */
import {
  closeSync,
  createReadStream,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { systemEnv } from "@millrace/engine";
import { nativeText } from "@millrace/native";
import { csvSource, ndjsonSource, parquetSource } from "@millrace/streams/file";
import { parse } from "csv-parse";
import { PARQUET } from "./flights.mjs";
import { tableByBuilders, tablesOfFrames } from "./ingest/arrow-tables.mjs";
import { measureApart, ratio, table } from "./measure.mjs";

const ROWS = 50_000;
const FRAME_ROWS = 4096;
const BLOCK_BYTES = 1 << 18;
const LF = 0x0a;
/** Tells the processes of the variants where the files are. */
const FILES = "MILLRACE_BENCH_INGEST";

const pathOf = (name) => join(process.env[FILES], name);

/** Flights: two texts that repeat, a time, two integers. */
async function flights() {
  const reader = await parquetSource({ path: PARQUET, decode: "inline" }).open("0", -1);
  const rows = [];
  while (rows.length < ROWS) {
    const read = await reader.read(Math.min(ROWS - rows.length, 10_000));
    rows.push(...read.batch.rows());
  }
  await reader.close();
  return rows;
}

/** Orders: an id and a text of each its own, decimals, a text with quotes, a flag, blanks, a list. */
function orders() {
  return Array.from({ length: ROWS }, (_, i) => ({
    id: `order-${i * 7919}`,
    customer: `Customer ${i % 9973} of "Street ${i % 31}", Zürich`,
    amount: (i * 37) / 100 + 0.5,
    paid: i % 3 === 0,
    note: i % 4 === 0 ? null : `left at door ${i % 12}`,
    items: [i % 7, i % 11],
  }));
}

const csvCell = (value) => {
  if (value === null) return "";
  const text = Array.isArray(value) ? value.join(";") : String(value);
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
const csvOf = (rows) =>
  [Object.keys(rows[0]), ...rows.map((row) => Object.values(row).map(csvCell))].map((cells) => `${cells}\n`).join("");
const ndjsonOf = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

function expect(rows, n) {
  if (rows !== n) throw new Error(`${rows} of ${n} rows were read`);
}

const bySource = (source, name, kernels, asRows) => async (n) => {
  const reader = await source({ path: pathOf(name), kernels }, systemEnv()).open("0", -1);
  let rows = 0;
  for (let read = await reader.read(FRAME_ROWS); read !== "end"; read = await reader.read(FRAME_ROWS)) {
    if (read.rejected.length > 0) throw read.rejected[0].error;
    rows += asRows ? read.batch.rows().length : read.batch.n;
  }
  await reader.close();
  expect(rows, n);
};

const lineEnds = (name) => (n) => {
  const fd = openSync(pathOf(name), "r");
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  let lines = 0;
  for (let bytes = readSync(fd, block); bytes > 0; bytes = readSync(fd, block)) {
    for (let at = block.indexOf(LF); at >= 0 && at < bytes; at = block.indexOf(LF, at + 1)) lines++;
  }
  closeSync(fd);
  expect(lines - (name.endsWith(".csv") ? 1 : 0), n);
};

const byCsvParse = (name) => async (n) => {
  let rows = 0;
  for await (const _ of createReadStream(pathOf(name)).pipe(parse({ columns: true, cast: true }))) rows++;
  expect(rows, n);
};

let connecting;

/** A database that is open already. */
function connection() {
  connecting ??= DuckDBInstance.create(":memory:", { threads: "1" }).then((instance) => instance.connect());
  return connecting;
}

/** Chunks of columns as DuckDB has them: none is turned into JavaScript. */
const byDuckDb = (query) => async (n) => {
  const result = await (await connection()).run(query());
  const chunks = await result.fetchAllChunks();
  expect(
    chunks.reduce((rows, chunk) => rows + chunk.rowCount, 0),
    n,
  );
};

/** Only the addon's part: what a thread of its own could take off the main one. */
const cellsOnly = (kernels, name) => (n) => {
  const bytes = readFileSync(pathOf(name));
  const line = bytes.subarray(0, bytes.indexOf(LF)).toString();
  const isCsv = name.endsWith(".csv");
  const names = isCsv ? line.split(",") : Object.keys(JSON.parse(line));
  const types = names.map(() => undefined);
  const kernel = isCsv ? kernels.csv(",", types, BLOCK_BYTES) : kernels.json(names, BLOCK_BYTES);
  const table = cellTable(names.length, FRAME_ROWS, BLOCK_BYTES);
  let rows = 0;
  for (let at = isCsv ? line.length + 1 : 0; at < bytes.length; at += table.run[1]) {
    kernel.read(bytes.subarray(at, at + BLOCK_BYTES), 0, table, 0, FRAME_ROWS);
    rows += table.run[0];
  }
  expect(rows, n);
};

function cellTable(fields, capacity, bytes) {
  const slots = new ArrayBuffer(8 * fields * capacity);
  return {
    capacity,
    kinds: new Uint8Array(fields * capacity),
    numbers: new Float64Array(slots),
    words: new Uint32Array(slots),
    bits: new BigUint64Array(slots),
    ends: new Uint32Array(capacity),
    fresh: new Uint32Array(4 * capacity),
    seen: new Uint8Array(fields),
    latin: new Uint8Array(bytes),
    wide: new Uint16Array(bytes),
    run: new Uint32Array(4),
  };
}

const BUILDERS = "JSON.parse, builders of apache-arrow";
const TABLES = "native kernels, then Arrow tables";

const DATA = { flights, orders };
const SOURCES = { csv: csvSource, ndjson: ndjsonSource };

function variantsOf(data, format) {
  const name = `${data}.${format}`;
  const kernels = nativeText();
  const source = SOURCES[format];
  const read = format === "csv" ? "read_csv" : "read_json";
  return {
    "native kernels": bySource(source, name, kernels, false),
    "native kernels, then rows of the columns": bySource(source, name, kernels, true),
    "native kernels, nothing made of the cells": cellsOnly(kernels, name),
    TypeScript: bySource(source, name, undefined, false),
    "TypeScript, then rows": bySource(source, name, undefined, true),
    "DuckDB, one thread, chunks left to it": byDuckDb(() => `select * from ${read}('${pathOf(name)}')`),
    ...(format === "csv"
      ? { "csv-parse": byCsvParse(name) }
      : {
          [TABLES]: (n) => tablesOfFrames(pathOf(name), kernels, n),
          [BUILDERS]: (n) => tableByBuilders(pathOf(name), n),
        }),
    "line ends only": lineEnds(name),
  };
}

export function variants() {
  return Object.keys(DATA).flatMap((data) =>
    Object.keys(SOURCES).flatMap((format) =>
      Object.entries(variantsOf(data, format)).map(([name, run]) => ({
        name: `${data}.${format}: ${name}`,
        n: ROWS,
        run,
      })),
    ),
  );
}

/** Runs `measured` with the files of these data there. */
async function withFiles(names, measured) {
  process.env[FILES] = mkdtempSync(join(tmpdir(), "millrace-ingest-"));
  try {
    for (const data of names) {
      const rows = await DATA[data]();
      writeFileSync(pathOf(`${data}.csv`), csvOf(rows));
      writeFileSync(pathOf(`${data}.ndjson`), ndjsonOf(rows));
    }
    return await measured();
  } finally {
    rmSync(process.env[FILES], { recursive: true, force: true });
  }
}

/** NDJSON as Arrow tables of frames and by builders: nanoseconds of a row, and their ratio. */
export function arrowFigures({ repeats }) {
  return withFiles(["flights"], async () => {
    const names = [TABLES, BUILDERS].map((name) => `flights.ndjson: ${name}`);
    const figures = await measureApart(import.meta.url, names, { repeats });
    return { figures, ratio: ratio(figures, ...names) };
  });
}

/** @param {{ repeats?: number }} options */
export async function main({ repeats = 3 } = {}) {
  if (nativeText() === undefined) throw new Error("there is no native addon to measure");
  return withFiles(Object.keys(DATA), async () => {
    const ratios = {};
    for (const data of Object.keys(DATA)) {
      for (const format of Object.keys(SOURCES)) {
        const of = (name) => `${data}.${format}: ${name}`;
        const names = Object.keys(variantsOf(data, format)).map(of);
        const figures = await measureApart(import.meta.url, names, { repeats });
        process.stdout.write(`${table(`${data}.${format}, ${ROWS} rows`, figures, of("TypeScript"))}\n`);
        ratios[`${data}.${format}`] = {
          typeScript: ratio(figures, of("native kernels"), of("TypeScript")),
          asRows: ratio(figures, of("native kernels, then rows of the columns"), of("TypeScript, then rows")),
          duckDb: ratio(figures, of("native kernels"), of("DuckDB, one thread, chunks left to it")),
          lineEnds: ratio(figures, of("native kernels"), of("line ends only")),
          ...(format === "ndjson" ? { arrowBuilders: ratio(figures, of(TABLES), of(BUILDERS)) } : {}),
        };
      }
    }
    return { ratios };
  });
}
