import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GraphRuntime, type Json, parseGraph, systemEnv } from "@millrace/engine";
import { addonState } from "@millrace/native";
import { memoryEventLog } from "@millrace/streams/memory";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProjectionTables } from "../host/projection-tables.ts";
import { compileGraph } from "./compile-graph.ts";
import type { CompiledGraph } from "./compiled-graph.ts";

const env = systemEnv();
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-compile-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content);
}

const SECRETS = { SLASHED: "hush/word", PERCENT: "5%" };

async function compile(text: string): Promise<CompiledGraph> {
  const parsed = parseGraph(text, { file: "graph.yaml" });
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems, null, 2));
  const options = {
    dir: directory,
    out: join(directory, "out"),
    env,
    tables: new ProjectionTables(),
    secrets: SECRETS,
  };
  return compileGraph(parsed.graph, text, options);
}

/** Runs to the end; what a file sink wrote, by its name. */
async function outputs(text: string, ...names: readonly string[]): Promise<readonly (readonly Json[])[]> {
  const { program } = await compile(text);
  const runtime = new GraphRuntime({ ...program, revision: 1 }, { log: memoryEventLog({ env }), env, host: "test" });
  await runtime.start();
  await runtime.whenFinished;
  await runtime.stop();
  return names.map((name) => {
    const lines = readFileSync(join(directory, "out", name), "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Json);
  });
}

describe("a program", () => {
  it("reads and writes CSV with the delimiters and types that the graph says, in tables too", async () => {
    write({
      "shops.csv": "zip;no;note\n01234;7;a|b\n94103;08;\n",
      "towns.tsv": "zip\tarea\n01234\t0413\n94103\t415\n",
    });
    write({ "towns.csv": "zip;town\n94103;3\n" });
    const text = `name: typed
nodes:
  shops: { kind: source, from: "file:./shops.csv", delimiter: ";", types: { zip: text, no: text } }
  area:  { kind: enrich, input: shops, table: "file:./towns.tsv", key: event.zip, on: zip, as: area, types: { area: text } }
  town:  { kind: enrich, input: area, table: "file:./towns.csv", key: event.zip, on: zip, as: town, delimiter: ";", types: { zip: text } }
  rows:  { kind: sink, input: town, to: "file:rows.ndjson" }
  flat:  { kind: map, input: shops, select: [no, note] }
  cells: { kind: sink, input: flat, to: "file:cells.csv", delimiter: "|" }
  tabs:  { kind: sink, input: flat, to: "file:cells.tsv" }
`;
    expect(await outputs(text, "rows.ndjson")).toEqual([
      [
        { zip: "01234", no: "7", note: "a|b", area: { zip: "01234", area: "0413" }, town: null },
        { zip: "94103", no: "08", note: null, area: { zip: "94103", area: "415" }, town: { zip: "94103", town: 3 } },
      ],
    ]);
    expect(readFileSync(join(directory, "out", "cells.csv"), "utf8")).toBe('no|note\n7|"a|b"\n08|\n');
    expect(readFileSync(join(directory, "out", "cells.tsv"), "utf8")).toBe("no\tnote\n7\ta|b\n08\t\n");
  });

  it("keeps the groups of its windows natively where the addon is, and says so", async () => {
    write({ "trades.csv": "at,symbol\n2026-01-01T00:00:01Z,A\n" });
    const { program } = await compile(`name: counts
nodes:
  trades: { kind: source, from: "file:./trades.csv", time: at }
  minute: { kind: window, input: trades, tumbling: 1m, by: { symbol: event.symbol }, compute: { trades: "count()" } }
  sums:   { kind: sink, input: minute, to: "file:sums.ndjson" }
`);
    const runtime = new GraphRuntime({ ...program, revision: 1 }, { log: memoryEventLog({ env }), env, host: "test" });
    await runtime.start();
    await runtime.whenFinished;
    const { details } = runtime.status().nodes.find(({ node }) => node === "minute") ?? {};
    await runtime.stop();
    expect(details).toEqual({ groups: addonState().inUse ? "native" : "typescript" });
  });

  it("lets the inputs of a node wait for each other where the graph says so", async () => {
    write({ "a.csv": "at\n2026-01-01T00:00:01Z\n", "b.csv": "at\n2026-01-01T00:00:01Z\n" });
    const { program } = await compile(`name: counts
nodes:
  a:      { kind: source, from: "file:./a.csv", time: at }
  b:      { kind: source, from: "file:./b.csv", time: at }
  minute: { kind: window, input: [a, b], tumbling: 1m, compute: { n: "count()" }, align: { maxDrift: 30s } }
  sums:   { kind: sink, input: minute, to: "file:sums.ndjson" }
`);
    const aligned = program.nodes.filter((node) => node.role === "committed" && node.alignment !== undefined);
    expect(aligned).toMatchObject([{ name: "minute", alignment: { maxDriftMs: 30_000 } }]);
  });

  it("counts a message in every window that holds it where they hop", async () => {
    write({ "trades.csv": "at,value\n2026-01-01T00:00:50Z,1\n2026-01-01T00:01:10Z,2\n2026-01-01T00:02:30Z,4\n" });
    const [rows] = await outputs(
      `name: counts
nodes:
  trades: { kind: source, from: "file:./trades.csv", time: at }
  recent: { kind: window, input: trades, hopping: { size: 2m, every: 1m }, compute: { value: "sum(event.value)" } }
  sums:   { kind: sink, input: recent, to: "file:sums.ndjson" }
`,
      "sums.ndjson",
    );
    const row = (start: string, end: string, value: number): Json => ({ window_start: start, window_end: end, value });
    expect(rows).toEqual([
      row("2025-12-31T23:59:00.000Z", "2026-01-01T00:01:00.000Z", 1),
      row("2026-01-01T00:00:00.000Z", "2026-01-01T00:02:00.000Z", 3),
      row("2026-01-01T00:01:00.000Z", "2026-01-01T00:03:00.000Z", 6),
      row("2026-01-01T00:02:00.000Z", "2026-01-01T00:04:00.000Z", 4),
    ]);
  });

  it("runs every kind of node that the file names", async () => {
    write({
      "trades.csv": [
        "at,symbol,price,size",
        "2026-01-01T00:00:01Z,A,10,5",
        "2026-01-01T00:00:02Z,B,20,1",
        "2026-01-01T00:00:03Z,A,12,100",
        "2026-01-01T00:01:30Z,C,7,2",
      ].join("\n"),
      "symbols.json": '[{"symbol":"A","name":"Alpha"},{"symbol":"B","name":"Beta"}]',
      "tax.mjs": "export default (row) => ({ ...row, tax: row.value / 10 });",
    });
    const graph = `name: trades
nodes:
  trades: { kind: source, from: "file:./trades.csv", time: at, watermark: 1s }
  valued: { kind: map, input: trades, set: { value: "event.price * event.size" } }
  sorted: { kind: switch, input: valued, cases: { big: "event.value >= 100" }, otherwise: small }
  taxed:  { kind: calculator, input: sorted.big, use: ./tax.mjs }
  both:   { kind: merge, inputs: [taxed, sorted.small] }
  named:  { kind: enrich, input: both, table: "file:./symbols.json", key: event.symbol, on: symbol, as: of }
  known:  { kind: filter, input: named, where: "event.of != null" }
  all:    { kind: sink, input: known, to: "file:all.ndjson" }
  minute: { kind: window, input: valued, tumbling: 1m, by: { symbol: event.symbol }, compute: { trades: "count()", value: "sum(event.value)" } }
  sums:   { kind: sink, input: minute, to: "file:sums.ndjson" }
`;
    const [all, sums] = await outputs(graph, "all.ndjson", "sums.ndjson");
    const byTime = (rows: readonly Json[] | undefined): readonly Json[] =>
      [...(rows ?? [])].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    expect(byTime(all)).toMatchObject([
      { symbol: "A", value: 50, of: { name: "Alpha" } },
      { symbol: "B", value: 20, of: { name: "Beta" } },
      { symbol: "A", value: 1200, tax: 120, of: { name: "Alpha" } },
    ]);
    expect(sums).toEqual([
      {
        symbol: "A",
        window_start: "2026-01-01T00:00:00.000Z",
        window_end: "2026-01-01T00:01:00.000Z",
        trades: 2,
        value: 1250,
      },
      {
        symbol: "B",
        window_start: "2026-01-01T00:00:00.000Z",
        window_end: "2026-01-01T00:01:00.000Z",
        trades: 1,
        value: 20,
      },
      {
        symbol: "C",
        window_start: "2026-01-01T00:01:00.000Z",
        window_end: "2026-01-01T00:02:00.000Z",
        trades: 1,
        value: 14,
      },
    ]);
  });

  it("passes on only what changed where a node is in mode state", async () => {
    write({ "levels.ndjson": '{"level":3}\n{"level":9}\n{"level":9}\n' });
    const graph = `name: levels
nodes:
  levels: { kind: source, from: "file:./levels.ndjson", batch: 1 }
  alarm:  { kind: map, input: levels, mode: state, set: { high: "event.level > 5" }, drop: [level] }
  out:    { kind: sink, input: alarm, to: "file:alarm.ndjson" }
`;
    const [alarm] = await outputs(graph, "alarm.ndjson");
    expect(alarm?.at(-1)).toEqual({ high: true });
    expect(alarm?.filter((row, i) => JSON.stringify(row) === JSON.stringify(alarm[i - 1]))).toEqual([]);
  });
});

describe("a source of personal values", () => {
  it.each([
    "kafka://h:9092/t",
    "nats://h:4222/jetstream/s",
    "nats://h:4222/core/s",
    "redis://h:6379/stream/s",
    "redis://h:6379/channel/s",
    "postgres://h:5432/d/table/t?cursor=id",
    "mysql://h:3306/d/table/t?cursor=id",
    "sqlite:./d.db?table=t&cursor=id",
    "s3://bucket/people/",
    "mqtt://h:1883/topic/t",
    "rabbitmq://h:5672/queue/q",
    "activemq://h:61613/queue/q",
    "amqp10://h:5672/topic/t",
    "http:/people",
    "file:./in.ndjson",
  ])("%s is refused where nothing can be sealed", async (from) => {
    write({ "in.ndjson": "" });
    const graph = (personal: string): string => `name: people
nodes:
  in:  { kind: source, from: "${from}"${personal} }
  out: { kind: sink, input: in, to: "discard:" }
`;
    await expect(compile(graph(""))).resolves.toBeDefined();
    const sealing = ", personal: { subject: id, fields: [name] }";
    await expect(compile(graph(sealing))).rejects.toThrow("personal values need a host with a data directory");
  });
});

describe("a revision", () => {
  const GRAPH = `name: g
nodes:
  in:  { kind: source, from: "file:./in.ndjson" }
  ok:  { kind: enrich, input: in, table: "file:./table.csv", key: event.id, on: id, as: row }
  do:  { kind: calculator, input: ok, use: ./do.mjs, pure: true }
  out: { kind: sink, input: do, to: "discard:" }
`;
  const FILES = { "in.ndjson": "", "table.csv": "id,name\n1,a\n", "do.mjs": "export default (row) => row;" };

  it("is another when a table or a calculator has other contents, and the same when a source has", async () => {
    write(FILES);
    const { hash, parts } = await compile(GRAPH);
    expect(Object.keys(parts)).toEqual(["", "./do.mjs", "./table.csv"]);
    write({ "in.ndjson": '{"id":1}\n' });
    expect((await compile(GRAPH)).hash).toBe(hash);
    write({ "table.csv": "id,name\n1,b\n" });
    expect((await compile(GRAPH)).hash).not.toBe(hash);
    write({ ...FILES, "do.mjs": "export default () => undefined;" });
    expect((await compile(GRAPH)).hash).not.toBe(hash);
  });
});

describe("what a host cannot do is refused with its place in the file", () => {
  const graph = (sink: string): string => `name: g
nodes:
  in:  { kind: source, from: "file:./in.ndjson" }
  out: { kind: sink, input: in, ${sink} }
`;

  it.each([
    ["a sink outside of the output folder", 'to: "file:../../$' + '{env:NAMED}.ndjson"', "HOST-PATH"],
    ["a secret that does not exist", 'to: "https://example.org/$' + '{env:NO_SUCH_SECRET}"', "HOST-CONNECTOR"],
  ])("%s", async (_what, sink, code) => {
    write({ "in.ndjson": "" });
    await expect(compile(graph(sink))).rejects.toMatchObject({
      code,
      place: { file: "graph.yaml", line: 4, node: "out" },
    });
  });
});

it("a source that cannot be asked for its partitions says where its address is, and what each endpoint answered", async () => {
  const { program } = await compile(`name: away
nodes:
  orders: { kind: source, from: "kafka://127.0.0.1:1/orders" }
  out:    { kind: sink, input: orders, to: "discard:" }
`);
  const [source] = program.nodes;
  const partitions = source?.role === "source" ? source.connector.partitions() : undefined;
  await expect(partitions).rejects.toMatchObject({
    code: "CONNECTION-FAILED",
    place: { file: "graph.yaml", line: 3, column: 34, graph: "away", node: "orders" },
    details: { endpoints: [{ endpoint: "127.0.0.1:1", code: "ECONNREFUSED" }] },
    cause: { message: expect.stringContaining("ECONNREFUSED") },
  });
});

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: graph files write references like that.
it.each(["SLASHED", "PERCENT"])("an address that a secret spoils is refused without quoting it: %s", async (name) => {
  const text =
    'name: g\nnodes:\n  in: { kind: source, from: "redis://me:${env:NAME}@localhost/stream/a" }\n  out: { kind: sink, input: in, to: "discard:" }\n';
  const refused = await compile(text.replace("NAME", name)).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "HOST-CONNECTOR", message: expect.stringContaining("`%40` for `@`") });
  expect(String(refused)).not.toContain("hush");
});
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above.
