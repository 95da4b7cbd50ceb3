import { mkdtempSync } from "node:fs";
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { DuckDBInstance } from "@duckdb/node-api";
import { type Json, type JsonObject, type SourceConnector, systemEnv } from "@millrace/engine";
import { type SourceHarness, type SourceMaker, sinkContract, sourceContract } from "@millrace/engine/testing";
import { Bool, Float64, Int32, Table, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { parse } from "csv-parse/sync";
import { expect, onTestFinished, test } from "vitest";
import { arrowSource } from "./arrow-source.ts";
import { fileSink } from "./file-sink.ts";
import { jsonSource } from "./json-source.ts";
import { parquetSource } from "./parquet-source.ts";
import { stdoutSink } from "./stdout-sink.ts";
import { csvSource, ndjsonSource } from "./text-sources.ts";

const env = systemEnv();

function folder(): string {
  return mkdtempSync(join(tmpdir(), "file-connectors-"));
}

async function fileOf(
  name: string,
  content: string | Uint8Array,
  connect: (path: string) => SourceConnector,
): Promise<SourceHarness> {
  const dir = folder();
  await writeFile(join(dir, name), content);
  return { connector: connect(join(dir, name)), close: () => rm(dir, { recursive: true }) };
}

function maker(
  name: string,
  connect: (path: string) => SourceConnector,
  encode: (rows: readonly JsonObject[]) => string,
  bad: readonly string[],
  /** Of a source that takes lines as long as the default says. */
  connectUsual = connect,
): SourceMaker {
  return {
    holding: (rows) => fileOf(name, encode(rows), connectUsual),
    async holdingBad(rows) {
      const lines = encode(rows).split(/(?<=\n)/);
      const headed = lines.length - rows.length;
      for (const [i, line] of bad.entries()) lines.splice(headed + 3 * i + 2, 0, `${line}\n`);
      const content = Buffer.concat(
        lines.map((line) => Buffer.from(line, line.includes("\u00ff") ? "latin1" : "utf8")),
      );
      return { ...(await fileOf(name, content, connect)), bad: bad.length };
    },
    missing: async () => ({ connector: connect(join(tmpdir(), "no such folder", name)), close: async () => {} }),
  };
}

const ndjson = (rows: readonly JsonObject[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const csvCell = (value: Json | undefined): string =>
  typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : value === null ? "" : String(value);
const csv = (rows: readonly JsonObject[]): string =>
  `id,name,amount,ok\n${rows.map((row) => `${Object.values(row).map(csvCell).join(",")}\n`).join("")}`;
const long = "x".repeat(1000);

sourceContract(
  "an NDJSON file",
  maker(
    "rows.ndjson",
    (path) => ndjsonSource({ path, lineBytesMax: 200 }, env),
    ndjson,
    ['{"id":', "\u00ff", `"${long}"`, "nul\0", "[1] 2"],
    (path) => ndjsonSource({ path }, env),
  ),
);
sourceContract(
  "a CSV file",
  maker(
    "rows.csv",
    (path) => csvSource({ path, lineBytesMax: 200 }, env),
    csv,
    ["1,2", "1,2,3,4,5", "a,b\u00ff,c,d", `${long},,,`, "a,\0,c,d", 'a,"b"c,d,e', 'open,"quote,x,y'],
    (path) => csvSource({ path }, env),
  ),
);
sourceContract(
  "a followed file",
  maker("rows.ndjson", (path) => ndjsonSource({ path, follow: true, pollMs: 5 }, env), ndjson, ["{", "]"]),
);

const json = (rows: readonly JsonObject[]): string => `[\n${rows.map((row) => JSON.stringify(row)).join(" ,\n")}]`;
sourceContract("a JSON array", {
  holding: (rows) => fileOf("rows.json", json(rows), (path) => jsonSource({ path })),
  async holdingBad(rows) {
    const bad = ["{a:1}", `"${long}"`, "", "[1 2]", '"\u00ff"', '{"a":[}]'];
    const elements: string[] = rows.map((row) => JSON.stringify(row));
    for (const [i, element] of bad.entries()) elements.splice(4 * i + 1, 0, element);
    const content = Buffer.concat(
      elements.map((element, i) =>
        Buffer.from(`${i === 0 ? "[" : ","}${element}`, element.includes("\u00ff") ? "latin1" : "utf8"),
      ),
    );
    const harness = await fileOf("rows.json", Buffer.concat([content, Buffer.from("]")]), (path) =>
      jsonSource({ path, elementBytesMax: 200 }),
    );
    return { ...harness, bad: bad.length };
  },
  missing: async () => ({
    connector: jsonSource({ path: join(tmpdir(), "no such file.json") }),
    close: async () => {},
  }),
});

sourceContract("an Arrow file", {
  async holding(rows) {
    return fileOf("rows.arrow", tableToIPC(tableOf(rows), "file"), (path) => arrowSource({ path }));
  },
  missing: async () => ({
    connector: arrowSource({ path: join(tmpdir(), "no such file.arrow") }),
    close: async () => {},
  }),
});

test("an Arrow file that is cut while it is read is damaged, and says how far it was read", async () => {
  const dir = folder();
  const path = join(dir, "cut.arrow");
  const rows = Array.from({ length: 100 }, (_, id) => ({ id, name: "n", amount: id, ok: true }));
  await writeFile(path, tableToIPC(tableOf(rows), "file"));
  const reader = await arrowSource({ path }).open("0", -1);
  onTestFinished(async () => {
    await reader.close();
    await rm(dir, { recursive: true });
  });
  expect(await reader.read(1)).toMatchObject({ through: 0 });
  await truncate(path, 10);
  const rest = async (): Promise<void> => {
    while ((await reader.read(100)) !== "end");
  };
  await expect(rest()).rejects.toMatchObject({
    code: "SOURCE-DAMAGED",
    place: { file: path, position: 17 },
    message: expect.stringMatching(/it ends at byte \d+ by now/),
  });
});

/** Several record batches, so that reading on passes over some. */
function tableOf(rows: readonly JsonObject[]): Table {
  const parts: Table[] = [];
  for (let at = 0; at === 0 || at < rows.length; at += 17) parts.push(partOf(rows.slice(at, at + 17)));
  const [first, ...rest] = parts;
  return (first as Table).concat(...rest);
}

function partOf(rows: readonly JsonObject[]): Table {
  return new Table({
    id: vectorFromArray(
      rows.map((row) => row.id as number),
      new Int32(),
    ),
    name: vectorFromArray(
      rows.map((row) => row.name as string),
      new Utf8(),
    ),
    amount: vectorFromArray(
      rows.map((row) => row.amount as number | null),
      new Float64(),
    ),
    ok: vectorFromArray(
      rows.map((row) => row.ok as boolean),
      new Bool(),
    ),
  });
}

sourceContract("a Parquet file", {
  async holding(rows) {
    const dir = folder();
    await writeFile(join(dir, "rows.ndjson"), ndjson(rows));
    const columns = "{id: 'BIGINT', name: 'VARCHAR', amount: 'DOUBLE', ok: 'BOOLEAN'}";
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    await connection.run(
      `COPY (FROM read_json('${join(dir, "rows.ndjson")}', format='newline_delimited', columns=${columns})) TO '${join(dir, "rows.parquet")}' (COMPRESSION zstd)`,
    );
    connection.closeSync();
    return { connector: parquetSource({ path: join(dir, "rows.parquet") }), close: () => rm(dir, { recursive: true }) };
  },
  missing: async () => ({
    connector: parquetSource({ path: join(tmpdir(), "no such file.parquet") }),
    close: async () => {},
  }),
});

sinkContract("an NDJSON file", async () => {
  const dir = folder();
  const path = join(dir, "deep", "down", "out.ndjson");
  return {
    connect: () => fileSink({ path, format: "ndjson", claim: join(dir, "claim.json") }),
    content: async () =>
      (await readFile(path, "utf8").catch(() => ""))
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Json),
    close: () => rm(dir, { recursive: true }),
  };
});

sinkContract("a CSV file", async () => {
  const dir = folder();
  const path = join(dir, "out.csv");
  return {
    connect: () => fileSink({ path, format: "csv", claim: join(dir, "claim.json") }),
    content: async () =>
      parse(await readFile(path, "utf8"), {
        columns: true,
        cast: (value, { header, column }) => (header || column === "name" ? value : Number(value)),
      }) as Json[],
    close: () => rm(dir, { recursive: true }),
  };
});

sinkContract("standard output", async () => {
  let text = "";
  const write = (chunk: Buffer, _: string, done: () => void): void => {
    text += chunk.toString("utf8");
    done();
  };
  return {
    connect: () => stdoutSink(new Writable({ write })),
    content: async () =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Json),
    close: async () => {},
  };
});
