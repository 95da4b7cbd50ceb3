/** The log in SQL, through the command line: of a stopped server's files and of one that runs. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { tableFromIPC } from "apache-arrow";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Finished, lastJson, millrace, type Running, start } from "./millrace.ts";

// Every question starts a process.
vi.setConfig({ testTimeout: 60_000 });

const GRAPH = `name: orders
nodes:
  orders: { kind: source, from: "file:./orders.ndjson" }
  large:  { kind: filter, input: orders, where: "event.amount > 10" }
  table:  { kind: sink, input: large, to: "projection:large-orders", key: [id] }
`;
const LINES = Array.from({ length: 60 }, (_, i) =>
  JSON.stringify({ id: i, amount: i === 7 ? 11.5 : i, note: i % 20 === 0 ? null : `no "${i}"`, Id: i % 2 === 0 }),
);

/** A graph that has nothing to do with it, so that there is a server on a copy of the data. */
const OTHER = `name: other
nodes:
  in:  { kind: source, from: "http:/in" }
  out: { kind: sink, input: in, to: "discard:" }
`;
let cwd: string;
let server: Running;
let url: string;
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "millrace-sql-e2e-"));
  writeFileSync(join(cwd, "graph.yaml"), GRAPH);
  writeFileSync(join(cwd, "orders.ndjson"), [...LINES, '{"id":99}'].join("\n"));
  expect(await millrace(["run", "graph.yaml", "--until-done", "--json"], { cwd })).toMatchObject({ code: 0 });
  cpSync(join(cwd, ".millrace"), join(cwd, "served"), { recursive: true });
  writeFileSync(join(cwd, "other.yaml"), OTHER);
  server = start(["serve", "other.yaml", "--port", "0", "--json", "--data", "served"], { cwd });
  url = (JSON.parse(await server.line(/^\{/)) as { url: string }).url;
}, 60_000);
afterAll(async () => {
  server.child.kill("SIGTERM");
  await server.finished;
  rmSync(cwd, { recursive: true, force: true });
}, 60_000);

/** Of the running server, which answers faster, unless told otherwise. */
const sql = (query: string, ...args: string[]): Promise<Finished> =>
  millrace(["sql", query, ...(args.includes("--data") || args.includes("--url") ? [] : ["--url", url]), ...args], {
    cwd,
  });
const STOPPED = ["--data", ".millrace"];

interface Answer {
  readonly tables: readonly { readonly table: string; readonly from: number; readonly asOf: number }[];
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly Record<string, unknown>[];
}

async function ask(query: string, ...args: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await sql(query, "--json", ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return lastJson(stdout) as Answer;
}

const LARGE = 60 - 11 + 1;

describe("the log", () => {
  it("has in its table what the event list has", async () => {
    const listed = await millrace(["events", "ls", "--forward", "--limit", "1000", "--json", "--data", ".millrace"], {
      cwd,
    });
    const { events, end } = lastJson(listed.stdout) as { events: Record<string, unknown>[]; end: number };
    const { rows, tables } = await ask("select * from events order by position", ...STOPPED);
    expect(tables).toEqual([{ table: "events", from: 0, asOf: end, rows: events.length }]);
    expect(rows.map((row) => ({ ...row, payload: JSON.parse(String(row.payload)) }))).toEqual(
      events.map((event) => ({
        position: event.position,
        time: new Date(event.timeMs as number).toISOString(),
        stream: event.stream,
        revision: event.revision,
        type: event.type,
        graph: event.graph,
        graph_revision: event.graphRevision,
        node: event.node,
        epoch: event.epoch,
        code_version: event.codeVersion,
        id: event.id,
        causation_id: event.causationId,
        correlation_id: event.correlationId,
        principal: event.principal,
        tenant: event.tenant,
        schema_version: event.schemaVersion,
        payload_bytes: event.payloadBytes,
        payload: event.payload,
      })),
    );
  });

  it("has every row of a step in its payload, not the first few", async () => {
    const { rows } = await ask(
      "select sum(json_array_length(payload, '$.state[0].rows'))::int as n from events where type = 'Step'",
    );
    expect(rows).toEqual([{ n: LARGE }]);
  });

  it("has steps with what they took, sent and gave up", async () => {
    const { rows } = await ask(
      "select node, sum(messages_in)::int m, sum(dead_letters)::int d, bool_and(step_time <= time) t from steps group by 1",
    );
    expect(rows).toEqual([{ node: "table", m: LARGE + 1, d: 1, t: true }]);
  });

  it("has every projection with typed columns, under its name and one without quotes", async () => {
    const { columns, rows } = await ask('select * from "large-orders" order by id');
    expect(columns).toEqual([
      { name: "id", type: "BIGINT" },
      { name: "amount", type: "DOUBLE" },
      { name: "note", type: "VARCHAR" },
      { name: "Id_2", type: "BOOLEAN" },
    ]);
    expect(rows).toHaveLength(LARGE);
    expect(rows[0]).toEqual({ id: 7, amount: 11.5, note: 'no "7"', Id_2: false });
    expect(rows.find(({ id }) => id === 20)).toMatchObject({ note: null });
    const both = "select d.code, d.node, d.state, o.id from dead_letters d, large_orders o where o.amount = 11.5";
    expect((await ask(both)).rows).toEqual([{ code: "EXPR-FAILED", node: "large", state: "waiting", id: 7 }]);
    expect((await ask("show tables", ...STOPPED)).rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["events", "steps", "large-orders", "large_orders", "dead_letters", "graphs"]),
    );
  });

  it("is read between two positions, its projections as of the last", async () => {
    const { rows, tables } = await ask("select position from events", "--from", "2", "--to", "5", ...STOPPED);
    expect(rows).toEqual([{ position: 2 }, { position: 3 }, { position: 4 }]);
    expect(tables).toEqual([{ table: "events", from: 2, asOf: 5, rows: 3 }]);
    const past = await ask("select count(*) n from large_orders", "--to", "5");
    expect(past).toMatchObject({ rows: [{ n: 0 }], tables: [{ table: "large-orders", asOf: 5 }] });
  });
});

describe("the answer", () => {
  const QUERY = `select id, amount, note, sum(id) over (order by id) as total, id > 30 as late,
    '2026-01-02 03:04:05'::timestamp as at, 12.50::decimal(6, 2) as price, [id, 1] as list, null as nothing
    from large_orders order by id limit 5`;

  it("is CSV with the extent on stderr", async () => {
    const { stdout, stderr } = await sql(QUERY, "--csv");
    const rows = parse(stdout, { columns: true }) as Record<string, string>[];
    expect(rows).toHaveLength(5);
    expect(rows[0]).toEqual({
      id: "7",
      amount: "11.5",
      note: 'no "7"',
      total: "7",
      late: "false",
      at: "2026-01-02T03:04:05.000Z",
      price: "12.5",
      list: "[7,1]",
      nothing: "",
    });
    expect(stderr).toMatch(/^as of position \d+\n$/);
  });

  it("is a table that says how far the log was read", async () => {
    const { stdout } = await sql(
      "select type, count(*) as n from events where graph = 'orders' group by 1 having n = 1 order by 1 limit 2",
    );
    expect(stdout).toMatch(/^type +n\nGraphAdded +1\nGraphDeployed +1\n2 rows, as of position \d+\n$/);
  });

  it("is Parquet", async () => {
    const { stdout, code } = await sql(`${QUERY}; -- it's a comment`, "--parquet", "answer.parquet");
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^5 rows in answer.parquet, as of/),
    });
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const read = await connection.runAndReadAll(`select id, total, price, list from '${join(cwd, "answer.parquet")}'`);
    expect(read.getRowsJson()[0]).toEqual(["7", "7", "12.50", ["7", 1].map(String)]);
  });

  it("is an Arrow file", async () => {
    const { stdout } = await sql(QUERY, "--arrow", "answer.arrow", "--json");
    expect(lastJson(stdout)).toMatchObject({ file: "answer.arrow", rows: 5, tables: [{ table: "large-orders" }] });
    const table = tableFromIPC(readFileSync(join(cwd, "answer.arrow")));
    expect(table.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "id Int64",
      "amount Float64",
      "note Utf8",
      "total Decimal[38e0]",
      "late Bool",
      "at Timestamp<MICROSECOND>",
      "price Decimal[6e+2]",
      "list Utf8",
      "nothing Int32",
    ]);
    const row = table.get(0)?.toJSON();
    expect(row).toMatchObject({ id: 7n, amount: 11.5, note: 'no "7"', late: false, list: "[7,1]", nothing: null });
    expect(row?.at).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
    expect([String(row?.total), String(row?.price)]).toEqual(["7", "1250"]);
  });

  it("without rows is a file with columns", async () => {
    await sql("select position, type from events where false", "--arrow", "empty.arrow");
    const table = tableFromIPC(readFileSync(join(cwd, "empty.arrow")));
    expect([table.numRows, table.schema.names]).toEqual([0, ["position", "type"]]);
  });

  it.each(["--parquet", "--arrow"])("leaves no file where the query fails: %s", async (format) => {
    const { code, stderr } = await sql("select cast(note as int) from large_orders", format, "failed");
    expect(code).toBe(2);
    expect(stderr).toContain("SQL-QUERY Conversion: Could not convert string");
    expect(readdirSync(cwd).filter((file) => file.startsWith("failed"))).toEqual([]);
  });
});

describe("a query that is refused", () => {
  it("in the middle of a long answer ends with 2 and is one JSON object that says so", async () => {
    const late = "select cast(case range when 600000 then 'x' else '1' end as int) a from range(700000)";
    const { code, stdout, stderr } = await sql(late, "--json");
    expect(code).toBe(2);
    expect(stderr).toContain("query:1:8 SQL-QUERY");
    const { rows, error } = JSON.parse(stdout) as { readonly rows: readonly object[]; readonly error: object };
    expect(rows[0]).toEqual({ a: 1 });
    expect(error).toMatchObject({ code: "SQL-QUERY", place: { file: "query", line: 1, column: 8 } });
  });

  it("ends with 2, names place and code, and writes nothing", async () => {
    const wrong = await sql("select typ\nfrom events", "--json");
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("query:1:8 SQL-QUERY") });
    expect(lastJson(wrong.stdout)).toMatchObject({
      error: { code: "SQL-QUERY", place: { file: "query", line: 1, column: 8 } },
    });
    const through = await sql(`select * from query('copy events to ''${join(cwd, "stolen.csv")}''')`);
    expect(through.code).toBe(2);
    expect(existsSync(join(cwd, "stolen.csv"))).toBe(false);
    const read = await sql("select * from read_text('graph.yaml')", "--parquet", "allowed.parquet");
    expect(read).toMatchObject({ code: 2, stderr: expect.stringContaining("SQL-REFUSED") });
  });

  it.each(["--parquet", "--arrow"])("has no file that cannot be written: %s", async (format) => {
    const missing = await sql("select 1", format, "no-folder/x");
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("no-folder/x CLI-USAGE cannot write") });
  });

  it("wants one form of answer", async () => {
    expect((await sql("select 1", "--csv", "--json")).code).toBe(2);
  });
});

describe("a running server's log", () => {
  it("is asked for what the query reads, and no more", async () => {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(request.url ?? "");
      void fetch(new URL(request.url ?? "", url)).then(async (answer) => response.end(await answer.text()));
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const through = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    try {
      const { rows: types, tables } = await ask("select distinct type from events", "--from", "1", "--url", through);
      expect(types).toContainEqual({ type: "Step" });
      expect(tables).toMatchObject([{ table: "events", from: 1 }]);
      expect(asked.map((address) => address.split("?")[0])).toEqual(["/api/v1/projections", "/api/v1/events"]);
      expect(asked[1]).toContain("payload=none");
      expect(asked[1]).toContain("from=1");
      asked.splice(0);
      await ask("select payload from events where type = 'Step'", "--url", through);
      expect(asked[1]).toContain("payload=full");
    } finally {
      proxy.close();
    }
  });
});
