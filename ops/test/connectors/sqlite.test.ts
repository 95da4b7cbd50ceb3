/** Connectors to SQLite, with Debian's `sqlite3` at the same files. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Env,
  type Json,
  type JsonObject,
  parseSqliteAddress,
  reportOf,
  type SinkConnector,
  type SourceBatch,
  type SourceConnector,
  type SqliteAddress,
  systemEnv,
} from "@millrace/engine";
import { sourceContract } from "@millrace/engine/testing";
import { sqliteSink, sqliteSource } from "@millrace/streams/sqlite";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { SqliteShell, sqliteMissing } from "../../services/sqlite-shell.ts";
import { isFull, times } from "../faults/form.ts";
import { eventually, GraphFolder } from "../faults/graph-folder.ts";
import { lastJson } from "../millrace.ts";
import { numbers, QUICK, slice, WAIT } from "./running-graph.ts";
import { sqlFile } from "./sql-tables.ts";

const env = systemEnv();
const SKIPPED = sqliteMissing === undefined ? "" : ` (skipped: ${sqliteMissing})`;
const PAUSE = "pause";
const NUMBERED = "integer primary key autoincrement";

describe.skipIf(sqliteMissing)(`SQLite${SKIPPED}`, () => {
  let folder: string;
  let db: SqliteShell;
  let count = 0;
  const shop = (): string => join(folder, "a shop.db");
  /** Names that only quoting keeps what they are. */
  const next = (): string => `Táblá "${++count}"; \`drop'`;
  const name = (table: string): string => `"${table.replaceAll('"', '""')}"`;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
    db = new SqliteShell(shop());
    await db.query("pragma journal_mode = wal");
  });
  afterAll(async () => {
    await db?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const address = (table: string, options: string, side: "source" | "sink", path = shop()): SqliteAddress => {
    const parsed = parseSqliteAddress(`${path}?table=${encodeURIComponent(table)}${options}`, side);
    if ("fault" in parsed) throw new Error(parsed.fault);
    return parsed;
  };
  const source = (table: string, options = "", path = shop()): SourceConnector =>
    sqliteSource(address(table, `&cursor=id${options}`, "source", path), env, { policy: QUICK, pollMs: 20 });
  const sink = (table: string, key: readonly string[] = ["id"], path = shop(), over: Env = env): SinkConnector =>
    sqliteSink(address(table, "", "sink", path), { id: "g/out", key, policy: QUICK }, over);
  const made = async (columns: string): Promise<string> => {
    const table = next();
    await db.query(`create table ${name(table)} (${columns})`);
    return table;
  };
  const value = (json: Json | undefined): string =>
    typeof json === "string" ? `'${json.replaceAll("'", "''")}'` : json === undefined ? "null" : String(json);
  const insert = async (table: string, rows: readonly JsonObject[]): Promise<void> => {
    if (rows.length === 0) return;
    const values = rows.map((row) => `(${Object.values(row).map(value).join(",")})`);
    await db.query(`insert into ${name(table)} values ${values.join(",")}`);
  };
  const rowsOf = (table: string, order = "id"): Promise<readonly Json[]> =>
    db.query<JsonObject>(`select * from ${name(table)} order by ${order}`);
  const batchOf = async (connector: SourceConnector): Promise<SourceBatch> => {
    const reader = await connector.open("0", -1);
    const batch = await reader.read(100);
    await reader.close();
    if (typeof batch === "string") throw new Error(`the source is ${batch}`);
    return batch;
  };
  const failureOf = async (connector: SourceConnector, after = -1): Promise<unknown> => {
    const reader = await connector.open("0", after);
    const failure = await reader.read(1).catch(reportOf);
    await reader.close();
    return failure;
  };

  for (const ending of ["", "&until=now"])
    sourceContract(`a SQLite table${ending === "" ? "" : " until now"}`, {
      positions: times(6, 20),
      async holding(rows) {
        const table = await made(`id ${NUMBERED}, name text, amount double, ok bool`);
        await insert(table, rows);
        const messages = rows.map((row) => ({ ...row, ok: row.ok === true ? 1 : 0 }));
        return { connector: source(table, ending), messages, close: async () => undefined };
      },
      missing: async () => ({ connector: source("none", ending), close: async () => undefined }),
    });

  sqlFile({
    name: "SQLite",
    codes: "SQLITE",
    async connected() {
      const shell = new SqliteShell(shop());
      const query = (statement: string): Promise<unknown> => (statement === PAUSE ? delay(3) : shell.query(statement));
      return { query, end: () => shell.end() };
    },
    query: (statement) => db.query(statement),
    one: async (statement) => Number((await db.query<{ n: number }>(statement))[0]?.n),
    made,
    quoted: name,
    rowsOf,
    source,
    sink,
    numbered: NUMBERED,
    counter: NUMBERED,
    text: "text",
    pause: PAUSE,
  });

  test("values come as they are in the table, and go there as they are in the message", async () => {
    const columns = "id integer primary key autoincrement, t text, b blob, r real, j json, any, n integer";
    const from = await made(`${columns}, twice integer as (n * 2)`);
    await db.query(`insert into ${name(from)} (t, b, r, j, any, n) values
      (cast(x'61004cc3a4f09f9880' as text), x'00ff', 1.5, '{"a": [1, null]}', 'text', 9007199254740991), (null, null, 2, 'no json', 7, -1)`);
    const { batch } = await batchOf(source(from));
    const whole = { id: 1, t: "a\0Lä😀", b: "AP8=", r: 1.5, j: { a: [1, null] }, any: "text", n: 9007199254740991 };
    const second = { id: 2, t: null, b: null, r: 2, j: "no json", any: 7, n: -1, twice: -2 };
    expect(batch.rows()).toEqual([{ ...whole, twice: 2 * 9007199254740991 }, second]);
    const to = await made(columns);
    const sinking = sink(to);
    await sinking.open(undefined);
    await sinking.deliver([slice(0, [whole, { id: 2, t: "", any: true, n: 1.5, j: "no json" }])]);
    await sinking.close();
    const types = "typeof(t) || typeof(b) || typeof(r) || typeof(j) || typeof(any) || typeof(n) as types";
    expect(await db.query(`select ${types}, hex(t) as t, hex(b) as b, j, any, n from ${name(to)} order by id`)).toEqual(
      [
        {
          types: "textblobrealtexttextinteger",
          t: "61004CC3A4F09F9880",
          b: "00FF",
          j: '{"a":[1,null]}',
          any: "text",
          n: 9007199254740991,
        },
        { types: "textnullnulltextintegerreal", t: "", b: "", j: '"no json"', any: 1, n: 1.5 },
      ],
    );
  });

  test("a row that does not fit is refused with its reason, and a key without an index, and a table that is not there waits", async () => {
    const table = await made(
      "id integer primary key, v integer not null check (v < 10), u text unique, c integer as (v + 1)",
    );
    const bad: readonly (readonly [Json, RegExp])[] = [
      [{ id: 1, v: 10 }, /CHECK constraint failed/],
      [{ id: 1, v: null }, /NOT NULL constraint failed/],
      [{ id: "x", v: 1 }, /datatype mismatch/],
      [{ id: 1, v: 1, c: 2 }, /has `c`, which is no column/],
      [{ v: 1 }, /no value for `id`/],
      [[1], /is no object/],
    ];
    const sinking = sink(table);
    await sinking.open(undefined);
    for (const [i, [row, message]] of bad.entries())
      expect(await sinking.deliver([slice(i, [{ id: 0, v: 0 }, row])]).catch(reportOf)).toMatchObject({
        code: "SQLITE-ROW",
        kind: "rejected",
        message: expect.stringMatching(message),
      });
    await sinking.deliver([slice(0, [{ id: 1, v: 1, u: "a" }])]);
    const other = { code: "SQLITE-ROW", message: expect.stringContaining("UNIQUE constraint failed") };
    expect(await sinking.deliver([slice(1, [{ id: 2, v: 2, u: "a" }])]).catch(reportOf)).toMatchObject(other);
    expect(await rowsOf(table)).toEqual([{ id: 1, v: 1, u: "a", c: 2 }]);
    await sinking.close();
    const keyless = sink(table, ["v"]);
    await keyless.open(undefined);
    expect(await keyless.deliver([slice(0, [{ v: 1 }])]).catch(reportOf)).toMatchObject({ code: "SQLITE-KEY" });
    await keyless.close();
    const missing = sink("not there");
    await missing.open(undefined);
    expect(await missing.deliver([slice(0, [{ id: 1 }])]).catch(reportOf)).toMatchObject({ code: "SINK-FAILED" });
    await db.query('create table "not there" (id integer primary key)');
    await missing.deliver([slice(0, [{ id: 1 }])]);
    expect(await rowsOf("not there")).toEqual([{ id: 1 }]);
    await missing.close();
  });

  test.each([
    ["id text primary key", "is of type text"],
    ["id bigint primary key", "may hold nothing"],
    ["id integer not null", "may hold nothing, or the same value twice"],
    ["other integer primary key", "is no column of it"],
  ])("a table with %s cannot be read by id", async (columns, reason) => {
    const message = expect.stringContaining(reason);
    expect(await failureOf(source(await made(columns)))).toMatchObject({ code: "SQLITE-CURSOR", message });
  });

  test("numbers that would be given a second time are told, and with autoincrement rows may be deleted", async () => {
    const [plain, counted] = [await made("id integer primary key, v"), await made(`id ${NUMBERED}, v`)];
    for (const table of [plain, counted]) {
      await db.query(`insert into ${name(table)} (v) values (1), (2), (3)`);
      await db.query(`delete from ${name(table)}`);
      await db.query(`insert into ${name(table)} (v) values (4)`);
    }
    expect(await failureOf(source(plain), 3)).toMatchObject({
      code: "SQLITE-CURSOR",
      kind: "terminal",
      message: expect.stringContaining("was read up to 3, and counts on from 1"),
    });
    const reader = await source(counted).open("0", 3);
    expect(((await reader.read(9)) as SourceBatch).batch.rows()).toEqual([{ id: 4, v: 4 }]);
    await reader.close();
  });

  for (const journal of ["wal", "delete"])
    test(`with journal ${journal} a file that others have locked is waited for, and what a writer left that was killed is undone`, async () => {
      const path = join(folder, `${journal}.db`);
      const other = new SqliteShell(path);
      await other.query(`pragma journal_mode = ${journal}`);
      await other.query(`create table t (id ${NUMBERED}, v); insert into t (v) values (0)`);
      const sinking = sink("t", ["id"], path);
      await sinking.open(undefined);
      await sinking.deliver([slice(0, [{ id: 1, v: "a" }])]);
      await other.query("begin immediate; insert into t (v) values ('b')");
      const delivered = sinking.deliver([
        slice(1, [
          { id: 1, v: "c" },
          { id: 9, v: "d" },
        ]),
      ]);
      expect(await Promise.race([delivered, delay(100, "waits")])).toBe("waits");
      await other.query("commit");
      await delivered;
      // With so little room it writes to the file what it has not committed.
      await other.query(`pragma cache_size = 1; begin; with n(i) as (select 1 union all select i + 1 from n where i < 5000)
        insert into t (v) select hex(zeroblob(100)) from n`);
      await other.kill();
      expect((await batchOf(source("t", "", path))).batch.rows()).toEqual([
        { id: 1, v: "c" },
        { id: 2, v: "b" },
        { id: 9, v: "d" },
      ]);
      await sinking.deliver([slice(3, [{ id: 10, v: "e" }])]);
      await sinking.close();
    });

  test("a lock that is not given back is the sink's state, not a row's fault", async () => {
    const table = await made("id integer primary key");
    const { clock } = env;
    const hurried = { ...env, clock: { now: () => clock.now(), monotonic: () => 100 * clock.monotonic() } };
    const sinking = sink(table, ["id"], shop(), hurried);
    await sinking.open(undefined);
    await db.query("begin immediate");
    expect(await sinking.deliver([slice(0, [{ id: 1 }])]).catch(reportOf)).toMatchObject({
      code: "SINK-FAILED",
      kind: "transient",
      message: expect.stringContaining("locked by another program"),
    });
    await db.query("rollback");
    await vi.waitFor(() => sinking.deliver([slice(0, [{ id: 1 }])]), WAIT);
    expect(await rowsOf(table)).toEqual([{ id: 1 }]);
    await sinking.close();
  });

  test("a file that is no database, one that is not there, and one that another took the name of are told apart", async () => {
    const path = join(folder, "other.db");
    expect(await failureOf(source("t", "", path))).toMatchObject({ code: "CONNECTION-FAILED", kind: "transient" });
    writeFileSync(path, "x".repeat(5000));
    const damaged = sink("t", ["id"], path);
    await damaged.open(undefined);
    expect(await damaged.deliver([slice(0, [{ id: 1 }])]).catch(reportOf)).toMatchObject({
      message: expect.stringContaining("file is not a database"),
    });
    await damaged.close();
    for (const file of [path, `${path}.new`]) {
      rmSync(file, { force: true });
      const shell = new SqliteShell(file);
      await shell.query(
        `create table t (id ${NUMBERED}, v); insert into t (v) values ('${file === path ? "old" : "new"}')`,
      );
      await shell.end();
    }
    const reader = await source("t", "", path).open("0", -1);
    // No probe finds out before the sink does, which would write to a file that has no name any more.
    const patient = { ...QUICK, probeEveryMs: 3_600_000 };
    const sinking = sqliteSink(address("t", "", "sink", path), { id: "g/out", key: ["id"], policy: patient }, env);
    await sinking.open(undefined);
    const committed = await sinking.deliver([slice(0, [{ id: 5, v: "five" }])]);
    expect(((await reader.read(9)) as SourceBatch).batch.rows()).toEqual([
      { id: 1, v: "old" },
      { id: 5, v: "five" },
    ]);
    renameSync(`${path}.new`, path);
    const seen = await untilFailed(() => reader.read(9));
    expect(seen).toMatchObject({ code: "SQLITE-CURSOR", message: expect.stringContaining("counts on from 1") });
    const refused = await sinking.deliver([slice(1, [{ id: 6 }])]).catch(reportOf);
    expect(refused).toMatchObject({ code: "SINK-FAILED", message: expect.stringContaining("is another file") });
    expect(await untilFailed(() => sinking.deliver([slice(1, [{ id: 6 }])]))).toMatchObject({ code: "SQLITE-BEHIND" });
    expect(committed).toEqual({ l: "0/0" });
    await Promise.all([reader.close(), sinking.close()]);
  });

  test("a file that is damaged under who reads it is told with its place", async () => {
    const path = join(folder, "damaged.db");
    const shell = new SqliteShell(path);
    await shell.query(`create table t (id ${NUMBERED}, v); with n(i) as (select 1 union all select i + 1 from n where i < 2000)
      insert into t (v) select hex(zeroblob(200)) from n`);
    await shell.end();
    const reader = await source("t", "", path).open("0", -1);
    expect(((await reader.read(5)) as SourceBatch).batch.n).toBe(5);
    writeFileSync(path, Buffer.concat([readFileSync(path).subarray(0, 8192), Buffer.alloc(800_000, 0x55)]));
    expect(await untilFailed(() => reader.read(500))).toMatchObject({ code: "SQLITE-DAMAGED", place: { file: path } });
    await reader.close();
  });

  /** The first failure that waiting does not cure. */
  async function untilFailed(work: () => Promise<unknown>): Promise<unknown> {
    for (;;) {
      const report = await work().then(() => undefined, reportOf);
      if (report?.kind === "terminal") return report;
      await delay(20);
    }
  }

  test("a run between two files that is killed again and again, while others write and read them, gives every row once, in order", async () => {
    const run = new GraphFolder({
      "graph.yaml": `name: killed
nodes:
  in: { kind: source, from: "sqlite:./from.db?table=t&cursor=id&until=now", batch: 20 }
  out: { kind: sink, input: in, to: "sqlite:./to.db?table=t" }
`,
    });
    const [from, to] = ["from.db", "to.db"].map((file) => new SqliteShell(join(run.path, file))) as [
      SqliteShell,
      SqliteShell,
    ];
    const [total, kills] = [20_000, times(1, 60)];
    await from.query("pragma journal_mode = wal");
    await from.query(`create table t (id ${NUMBERED}, v text);
      with n(i) as (select 1 union all select i + 1 from n where i < ${total}) insert into t (v) select 'row ' || i from n`);
    await to.query(`create table t (n ${NUMBERED}, id integer, v text); create table noise (n ${NUMBERED})`);
    const arrived = async (): Promise<number> =>
      (await to.query<{ n: number }>("select count(*) as n from t"))[0]?.n ?? 0;
    for (let kill = 1; kill <= kills; kill++) {
      const running = run.begin();
      await eventually(async () => {
        await to.query("begin immediate; insert into noise default values; commit");
        expect(await arrived()).toBeGreaterThan((total * kill) / (kills + 2));
      });
      running.child.kill("SIGKILL");
      await running.finished;
    }
    const { code, stdout, stderr } = await run.run();
    expect([code, stderr]).toEqual([0, ""]);
    expect(lastJson(stdout)).toMatchObject({ graph: "killed", deadLettered: 0, dropped: 0 });
    const ids = (await to.query<{ id: number }>("select id from t order by n")).map(({ id }) => id);
    console.log(
      `SQLite: ${total} rows, ${kills} kills -9 of millrace: ${total - new Set(ids).size} lost, ${ids.length - new Set(ids).size} twice`,
    );
    expect(ids).toEqual(numbers(1, total));
    expect(await to.query("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    await Promise.all([from.end(), to.end()]);
    run.remove();
  }, 120_000);

  test.skipIf(process.env.MILLRACE_SKIP_CC).each(isFull ? ["delete", "wal"] : ["delete"])(
    "a disk that is full for a while, with journal %s, costs time and no row",
    async (journal) => {
      const run = new GraphFolder({
        "in.ndjson": numbers(0, 3000)
          .map((id) => `${JSON.stringify({ id, v: "x".repeat(200) })}\n`)
          .join(""),
        "graph.yaml": `name: full
nodes:
  in: { kind: source, from: "file:./in.ndjson", batch: 100 }
  out: { kind: sink, input: in, to: "sqlite:./to.db?table=t" }
`,
      });
      const to = new SqliteShell(join(run.path, "to.db"));
      await to.query(`pragma journal_mode = ${journal}`);
      await to.query(`create table t (n ${NUMBERED}, id integer, v text)`);
      const library = join(run.path, "disk-faults.so");
      const source = join(import.meta.dirname, "../faults/disk-faults.c");
      execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
      const full = { LD_PRELOAD: library, DATABASE_FULL_FROM: "60", DATABASE_FULL_WRITES: "3" };
      const running = run.begin(full);
      const { code, stdout, stderr } = await running.finished;
      expect([code, lastJson(stdout)]).toMatchObject([0, { deadLettered: 0, dropped: 0 }]);
      expect(stderr).toBe("out of space\n".repeat(3));
      const ids = (await to.query<{ id: number }>("select id from t order by n")).map(({ id }) => id);
      expect(ids).toEqual(numbers(0, 3000));
      await to.end();
      run.remove();
    },
    60_000,
  );

  test("a table of a file that may only be read is read", async () => {
    const path = join(folder, "read-only.db");
    const shell = new SqliteShell(path);
    await shell.query("create table t (id integer primary key, v); insert into t (v) values ('a')");
    await shell.end();
    chmodSync(path, 0o400);
    expect((await batchOf(source("t", "", path))).batch.rows()).toEqual([{ id: 1, v: "a" }]);
  });
});
