import { reportOf } from "@millrace/engine";
import type { EventDocument } from "@millrace/gateway";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defineEvents, EVENTS, EventTable, PAYLOAD } from "./event-table.ts";
import { SqlDatabase } from "./sql-database.ts";

const EVENT = {
  timeMs: 1000,
  stream: "g/n",
  type: "Step",
  graph: "g",
  graphRevision: 1,
  node: "n",
  epoch: 0,
  codeVersion: "",
  id: "0",
  causationId: "0",
  correlationId: "0",
  principal: "system",
  tenant: "",
  schemaVersion: 1,
  payloadBytes: 1,
};

let database: SqlDatabase;
beforeEach(async () => {
  database = await SqlDatabase.open();
  await defineEvents(database);
});
afterEach(() => database.close());

it("a query with an infinite number is one like others", async () => {
  expect(await database.tablesOf("select 1e400::double, [1e400, -1e400] from events")).toEqual([EVENTS]);
});

describe("what a query reads", () => {
  const readsPayload = async (query: string): Promise<unknown> => {
    const columns = await database.columnsRead(query, EVENTS);
    return typeof columns === "string" ? columns : columns.has(PAYLOAD);
  };

  it.each([
    "select type, count(*) from events group by 1",
    "select count(*) from events",
    "select e.position from events e where e.type like 'S%' and position > 3 order by time limit 3",
    "with e as (from events) select stream from e",
    "select 'payload' from events",
    "select position, 1e400::double, -1e400::double from events where 1e400::double > position",
  ])("is no payload: %s", async (query) => {
    expect(await readsPayload(query)).toBe(false);
  });

  it.each([
    "select * from events",
    "from events",
    "select events from events",
    "select columns(c -> c like 'pay%') from events",
    "select position from events where payload is not null",
    "select position from events where payload like '%x%'",
    "select position from events order by payload",
    "select max(payload_bytes) from events group by payload->>'$.a'",
    "select messages_in from steps",
    "summarize events",
    "select position from events where position in (select position from events where payload->>'$.a' = 'b')",
    "select (select max(payload::varchar) from events e where e.type = t.type) from (select distinct type from events) t",
    "with recursive r(p, n) as (select payload, 0 from events union all select p, n + 1 from r where n < 1) select p from r",
    "with e as materialized (select payload, type from events) select payload from e union all select type::json from e",
    "select position from query('select * from events order by payload')",
    "select * from events order by position desc limit 1",
    "select a.position from events a join events b on a.payload = b.payload",
    "select position, row_number() over (order by payload) from events",
  ])("is the payload: %s", async (query) => {
    expect(await readsPayload(query)).toBe(true);
  });

  it("is nothing of the log where no table is named", async () => {
    expect(await readsPayload("select 1")).toBe("none");
  });
});

describe("a query", () => {
  const failure = async (query: string): Promise<unknown> => {
    await database.tablesOf(query);
    await database.columnsRead(query, EVENTS);
    await database.lock();
    const result = await database.ask(query);
    for await (const _ of database.chunks(query, result));
    return undefined;
  };

  it.each([
    "insert into events (position) values (1)",
    "delete from events",
    "create table x (a int)",
    "drop view steps",
    "copy events to 'x.csv'",
    "attach 'x.duckdb'",
    "install httpfs",
    "load httpfs",
    "set threads = 1",
    "set enable_external_access = true",
    "pragma database_size",
    "call pragma_version()",
    "explain analyze delete from events",
    "select 1; delete from events",
    "select 1; select 2",
    "begin",
    "",
    "select * from read_csv('/etc/hostname')",
    "select * from read_text('/etc/hostname')",
    "select * from read_parquet('https://127.0.0.1:9/x.parquet')",
    "select * from glob('/*')",
  ])("may only read the log: %s", async (query) => {
    await expect(failure(query)).rejects.toMatchObject({ code: "SQL-REFUSED", kind: "rejected" });
  });

  it.each([
    ["selec 1", 1, 1, "syntax error"],
    ["select type,\n  typ\nfrom events", 2, 3, '"type"'],
    ["select 'é',\n 'ü', nope from events", 2, 7, "nope"],
    ["select * from nope", 1, 15, "there is no table nope"],
    ["select * from '/etc/hostname'", 1, 15, "there is no table /etc/hostname"],
    ["select 1 +", 1, 11, "syntax error"],
  ])("that is wrong is told where: %s", async (query, line, column, text) => {
    await expect(failure(query)).rejects.toMatchObject({
      code: "SQL-QUERY",
      place: { file: "query", line, column },
      message: expect.stringContaining(text),
    });
  });

  it("that fails on a value says so", async () => {
    await expect(failure("select cast('x' || range::text as int) from range(10)")).rejects.toMatchObject({
      code: "SQL-QUERY",
      message: expect.stringContaining("Could not convert string 'x0'"),
    });
  });

  it("that fails on a value far into its answer is no shorter answer", async () => {
    const query = "select cast(case range when 600000 then 'x' else '1' end as int) from range(700000)";
    let rows = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of database.chunks(query, await database.ask(query))) rows += chunk.rowCount;
    };
    await expect(read()).rejects.toMatchObject({
      code: "SQL-QUERY",
      place: { file: "query", line: 1, column: 8 },
      message: expect.stringContaining("Could not convert string 'x'"),
    });
    expect(rows).toBeGreaterThan(0);
  });
});

describe("what takes more memory than a query is given", () => {
  /** Steps with payloads of so many bytes. */
  const filled = async (rows: number, bytes: number): Promise<void> => {
    const table = await EventTable.open(database);
    const payload = {
      at: 1000,
      inputs: [{ messages: 2, shed: 1 }, { messages: 3 }],
      emitted: [{ count: 4, frame: "x".repeat(bytes) }],
      state: [{ a: 1 }, [2]],
      dead: [],
    };
    const event = (position: number): EventDocument =>
      ({ ...EVENT, position, revision: position, payload }) as unknown as EventDocument;
    table.append(Array.from({ length: rows }, (_, position) => event(position)));
    table.close();
  };
  const asked = async (query: string): Promise<unknown> => {
    await database.columnsRead(query, EVENTS);
    await database.lock();
    const rows: unknown[] = [];
    for await (const chunk of database.chunks(query, await database.ask(query))) rows.push(...chunk.getRows());
    return rows;
  };

  it("is refused without settings that nobody can change", async () => {
    await database.define("SET memory_limit = '50MB'");
    const failed = await asked("select list(repeat('x', 1000000) || range) from range(200)").catch(reportOf);
    expect(failed).toMatchObject({ code: "SQL-MEMORY", kind: "rejected" });
    expect(JSON.stringify(failed)).not.toContain("SET ");
  });

  it("is refused where the log is loaded, too", async () => {
    await database.define("SET memory_limit = '20MB'");
    expect(await filled(100, 300_000).catch(reportOf)).toMatchObject({ code: "SQL-MEMORY" });
  });

  it("is not a look at all columns of steps, however large their payloads", async () => {
    await database.define("SET memory_limit = '100MB'");
    await filled(3000, 10_000);
    const columns = "count(*), any_value(epoch_ms(step_time)), any_value(dropped)";
    const sums = ["messages_in", "shed", "messages_out", "changes", "dead_letters"].map((name) => `sum(${name})::INT`);
    const distinct = "count(distinct messages_in + changes + shed)";
    expect(await asked(`select ${columns}, ${sums.join(", ")}, ${distinct} from steps`)).toEqual([
      [3000n, 1000n, 0n, 15_000, 3000, 12_000, 6000, 0, 1n],
    ]);
  });
});

it("nothing can be set once the database is locked", async () => {
  await database.lock();
  await expect(database.define("SET enable_external_access = true")).rejects.toThrow("locked");
});
