import { mkdtempSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Json, type JsonObject, type SourceConnector, systemEnv } from "@millrace/engine";
import { type SourceHarness, type SourceMaker, sinkContract, sourceContract } from "@millrace/engine/testing";
import { parse } from "csv-parse/sync";
import { fileSink } from "./file-sink.ts";
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
): SourceMaker {
  return {
    holding: (rows) => fileOf(name, encode(rows), connect),
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
  maker("rows.ndjson", (path) => ndjsonSource({ path, lineBytesMax: 200 }, env), ndjson, [
    '{"id":',
    "\u00ff",
    `"${long}"`,
    "nul\0",
    "[1] 2",
  ]),
);
sourceContract(
  "a CSV file",
  maker("rows.csv", (path) => csvSource({ path, lineBytesMax: 200 }, env), csv, [
    "1,2",
    "1,2,3,4,5",
    "a,b\u00ff,c,d",
    `${long},,,`,
    "a,\0,c,d",
    'a,"b"c,d,e',
    'open,"quote,x,y',
  ]),
);
sourceContract(
  "a followed file",
  maker("rows.ndjson", (path) => ndjsonSource({ path, follow: true, pollMs: 5 }, env), ndjson, ["{", "]"]),
);

sinkContract("an NDJSON file", async () => {
  const dir = folder();
  const path = join(dir, "deep", "down", "out.ndjson");
  return {
    connect: () => fileSink({ path, format: "ndjson" }),
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
    connect: () => fileSink({ path, format: "csv" }),
    content: async () =>
      parse(await readFile(path, "utf8"), {
        columns: true,
        cast: (value, { header, column }) => (header || column === "name" ? value : Number(value)),
      }) as Json[],
    close: () => rm(dir, { recursive: true }),
  };
});
