import { existsSync, mkdtempSync } from "node:fs";
import { copyFile, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { ColumnBatch, type Json, reportOf, type SourceConnector } from "@millrace/engine";
import { afterAll, expect, test } from "vitest";
import { arrowSource } from "./arrow-source.ts";
import { parquetSource } from "./parquet-source.ts";
import { ParquetThread } from "./parquet-thread.ts";
import { RowGroupReader } from "./row-group-reader.ts";

const data = join(dirname(createRequire(import.meta.url).resolve("vega-datasets")), "../data");
const flights = join(data, "flights-3m.parquet");
const folder = mkdtempSync(join(tmpdir(), "parquet-"));
afterAll(() => rm(folder, { recursive: true }));

async function read(source: SourceConnector, after: number, n: number): Promise<readonly Json[]> {
  const reader = await source.open("0", after);
  const rows: Json[] = [];
  try {
    while (rows.length < n) {
      const batch = await reader.read(n - rows.length);
      if (typeof batch === "string") break;
      rows.push(...batch.batch.rows());
    }
  } finally {
    await reader.close();
  }
  return rows;
}

const failureOf = async (source: SourceConnector, after = -1): Promise<ReturnType<typeof reportOf>> => {
  const thrown: unknown = await read(source, after, Number.POSITIVE_INFINITY).catch((error: unknown) => error);
  return reportOf(thrown);
};

test("real flights come as columns: times, numbers and dictionary codes, across row groups", async () => {
  const reader = await parquetSource({ path: flights, decode: "inline" }).open("0", 272_720);
  const [last, first] = [await reader.read(100), await reader.read(3)];
  await reader.close();
  if (typeof last === "string" || typeof first === "string") throw new Error("no rows");
  expect([last.batch.n, last.through, first.positions.pos(0)]).toEqual([6, 272_726, 272_727]);
  const types =
    first.batch instanceof ColumnBatch
      ? [...first.batch.columns].map(([name, column]) => `${name}: ${column.type}`)
      : [];
  expect(types).toEqual([
    "date: time",
    "delay: number",
    "distance: number",
    "origin: dictionary",
    "destination: dictionary",
  ]);
  const dictionaries = [last, first].map(({ batch }) => {
    const column = batch instanceof ColumnBatch ? batch.columns.get("origin") : undefined;
    return column?.type === "dictionary" ? column.dictionary : undefined;
  });
  expect(dictionaries[0]).toBe(dictionaries[1]);
});

test("rows equal what another reader of the format sees, types that JSON lacks included", async () => {
  const path = join(folder, "types.parquet");
  const select = `SELECT i::BIGINT AS big, (i / 4)::FLOAT AS real, i::DECIMAL(9,2) AS money, i % 2 = 0 AS flag, 'k' || i % 3 AS key, 'text ' || i AS unlike,
    CASE WHEN i % 5 = 0 THEN NULL ELSE i END AS hole, CASE WHEN i % 7 = 0 THEN NULL ELSE 'v' || i % 2 END AS gap, [i, NULL] AS list, {'a': i, 't': TIMESTAMP '2001-01-01' + to_hours(i)} AS nested,
    DATE '2001-01-01' + i::INT AS day, TIMESTAMP '2001-01-01 00:00:00' + to_hours(i) AS hour, TIMESTAMPTZ '2001-01-01 00:00:00+00' + to_seconds(i) AS instant,
    CASE WHEN i = 3 THEN 'nan'::DOUBLE ELSE i END AS odd, NULL::INT AS empty FROM range(5000) t(i)`;
  const connection = await (await DuckDBInstance.create()).connect();
  await connection.run(`COPY (${select}) TO '${path}' (COMPRESSION zstd, ROW_GROUP_SIZE 2048)`);
  connection.closeSync();
  const rows = await read(parquetSource({ path, decode: "inline" }), -1, 5000);
  const hour = (i: number): string => new Date(Date.UTC(2001, 0, 1) + i * 3_600_000).toISOString();
  const expected = (i: number): Json => ({
    big: i,
    real: i / 4,
    money: i,
    flag: i % 2 === 0,
    key: `k${i % 3}`,
    unlike: `text ${i}`,
    hole: i % 5 === 0 ? null : i,
    gap: i % 7 === 0 ? null : `v${i % 2}`,
    list: [i, null],
    nested: { a: i, t: hour(i) },
    day: hour(24 * i),
    hour: hour(i),
    instant: new Date(Date.UTC(2001, 0, 1) + i * 1000).toISOString(),
    odd: i === 3 ? null : i,
    empty: null,
  });
  expect(rows).toEqual(Array.from({ length: 5000 }, (_, i) => expected(i)));
  expect(await read(parquetSource({ path, decode: "inline" }), 2999, 5)).toEqual(
    [3000, 3001, 3002, 3003, 3004].map(expected),
  );
});

test("a file that is cut off, damaged or of another format ends with its place instead of wrong rows", async () => {
  const path = join(folder, "cut.parquet");
  await copyFile(flights, path);
  await truncate(path, 5_000_000);
  expect(await failureOf(parquetSource({ path, decode: "inline" }))).toMatchObject({
    code: "SOURCE-DAMAGED",
    kind: "terminal",
    place: { file: path, position: 0 },
  });
  await writeFile(path, "name,age\nAda,36\n");
  expect(await failureOf(parquetSource({ path, decode: "inline" }))).toMatchObject({ code: "SOURCE-DAMAGED" });
  const arrow = join(data, "flights-200k.arrow");
  await writeFile(path, (await readFile(arrow)).subarray(0, 900_000));
  expect(await failureOf(arrowSource({ path }))).toMatchObject({ code: "SOURCE-DAMAGED", kind: "terminal" });
  expect((await read(arrowSource({ path: arrow }), 199_997, 9)).length).toBe(2);
});

test("an empty file is damaged, a folder cannot be read", async () => {
  const path = join(folder, "empty.parquet");
  await writeFile(path, "");
  expect(await failureOf(parquetSource({ path, decode: "inline" }))).toMatchObject({ code: "SOURCE-DAMAGED" });
  expect(await failureOf(parquetSource({ path: folder, decode: "inline" }))).toMatchObject({
    code: "SOURCE-FAILED",
    kind: "transient",
  });
});

const built = new URL("../../dist/file/parquet-worker.js", import.meta.url);

// A thread runs built code; `npm test` builds before it tests.
test.runIf(existsSync(built))("a decoding thread hands over the same rows, and is gone after close", async () => {
  const inline = await read(parquetSource({ path: flights, decode: "inline" }), 545_400, 100);
  const reader = new RowGroupReader(new ParquetThread(flights, 545_401, built), 545_401);
  const rows: Json[] = [];
  while (rows.length < 100) {
    const batch = await reader.read(100 - rows.length);
    if (typeof batch !== "string") rows.push(...batch.batch.rows());
  }
  expect(rows).toEqual(inline);
  const reading = reader.read(1_000_000);
  await reader.close();
  await reading;
  expect(await reader.read(1)).toBe("idle");
  const missing = new ParquetThread(join(folder, "absent.parquet"), 0, built);
  await expect(missing.next()).rejects.toMatchObject({ code: "ENOENT" });
  await missing.close();
});
