/** Rows that are there when a source of PostgreSQL's changes begins, and the changes behind them, from a real server. */
import { type Json, type JsonObject, parsePostgresAddress, reportOf, systemEnv } from "@millrace/engine";
import { postgresFeed } from "@millrace/streams/postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { postgresClient, postgresMissing, startPostgres } from "../../services/postgres-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { GraphFolder } from "../faults/graph-folder.ts";
import { start } from "../millrace.ts";
import { FeedListener } from "./feed-listener.ts";
import { numbers, QUICK, WAIT } from "./running-graph.ts";
import { TableCopy } from "./table-copy.ts";

const env = systemEnv();
const SKIPPED = postgresMissing === undefined ? "" : ` (skipped: ${postgresMissing})`;
/** Only what hangs takes so long. */
const LIMIT_MS = 120_000;
const DEADLOCK = "40P01";
const q = pg.escapeIdentifier;

describe.skipIf(postgresMissing)(`rows and then changes of PostgreSQL's tables${SKIPPED}`, () => {
  let server: ServerProcess;
  let db: pg.Client;
  let count = 0;
  const listening: FeedListener[] = [];

  beforeAll(async () => {
    server = await startPostgres();
    db = await postgresClient(server);
  }, 60_000);
  afterAll(async () => {
    await db?.end();
    await server?.stop();
  });
  afterEach(async () => {
    for (const listener of listening.splice(0)) await listener.stop();
    const drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'test_%'";
    await vi.waitFor(() => db.query(drop), WAIT);
  });

  interface Published {
    readonly tables: readonly string[];
    readonly publication: string;
    readonly slot: string;
  }

  /** Tables with so many rows each, and a publication of them. */
  async function published(rows: readonly number[]): Promise<Published> {
    const n = ++count;
    const tables = rows.map((_, i) => `Táblá "${n}.${i}"`);
    for (const [i, table] of tables.entries()) {
      await db.query(`create table ${q(table)} (id bigint primary key, v int, at timestamptz default now())`);
      await db.query(`insert into ${q(table)} select i, 0 from generate_series(1, ${rows[i]}) i`);
    }
    await db.query(`create publication "p ${n}" for table ${tables.map(q).join(", ")}`);
    return { tables, publication: `p ${n}`, slot: `test_${n}` };
  }

  function listen({ publication, slot }: Published, cursor?: Json, at = server.address): FeedListener {
    const path = `//postgres@${at}/postgres/cdc/${encodeURIComponent(publication)}?slot=${slot}&snapshot=initial`;
    const parsed = parsePostgresAddress(path, "source");
    if ("fault" in parsed) throw new Error(parsed.fault);
    const listener = new FeedListener(postgresFeed(parsed, env, { policy: QUICK }), cursor);
    listening.push(listener);
    return listener;
  }

  async function rowsOf(table: string): Promise<readonly JsonObject[]> {
    const { rows } = await db.query<{ row: JsonObject }>(`select row_to_json(t) as row from ${q(table)} t order by id`);
    return rows.map(({ row }) => row);
  }

  /** A row that says that all before it has come. */
  async function last({ tables: [table = ""] }: Published, listener: FeedListener): Promise<void> {
    const id = 1_000_000 + count;
    await db.query(`insert into ${q(table)} (id) values (${id})`);
    const isLast = (row: JsonObject): boolean =>
      row.table === table && (row.after as JsonObject | undefined)?.id === id;
    await vi.waitFor(() => expect(listener.rows.some(isLast)).toBe(true), WAIT);
  }

  /** What came makes the tables what they are, each row and each change once. */
  async function expectCopy({ tables }: Published, changes: readonly JsonObject[]): Promise<void> {
    const copy = TableCopy.of(changes);
    expect(copy.faults).toEqual([]);
    for (const table of tables) expect(copy.rows(table)).toEqual(await rowsOf(table));
  }

  /** Transactions over all tables, until it is told to stop: how many there were. */
  function write({ tables }: Published, seed: number): { stop(): Promise<number> } {
    let isStopped = false;
    const statements = tables.flatMap((table) => [
      `insert into ${q(table)} (id, v) values ($1::bigint * 100 + 50000 + ${seed}, 1)`,
      `update ${q(table)} set v = v + 1 where id % 97 = $1::bigint % 97`,
      `update ${q(table)} set id = -id, v = v + 1 where id = $1::bigint * 3 + ${seed} and id > 0`,
      `delete from ${q(table)} where id = $1::bigint * 7 + ${seed}`,
    ]);
    const run = async (): Promise<number> => {
      const client = await postgresClient(server);
      let n = 0;
      for (; !isStopped; n++) {
        await client.query("begin");
        // A row that another one changed first is looked at again. Two that wait for each other: the server takes one of them back.
        let ending = n % 5 === 4 ? "rollback" : "commit";
        try {
          for (const statement of statements) await client.query(statement, [n]);
        } catch (error) {
          if (!(error instanceof pg.DatabaseError) || error.code !== DEADLOCK) throw error;
          ending = "rollback";
        }
        await client.query(ending);
      }
      await client.end();
      return n;
    };
    const running = run();
    return {
      stop() {
        isStopped = true;
        return running;
      },
    };
  }

  test(
    "while others write, each row comes once, and every change to it behind it",
    async () => {
      const to = await published([3000, 20, 3000]);
      const before = write(to, 1);
      const listener = listen(to);
      listener.isSettling = true;
      const during = write({ ...to, tables: to.tables.slice(1) }, 2);
      await vi.waitFor(() => expect(listener.rows.length).toBeGreaterThan(6100), WAIT);
      const written = (await before.stop()) + (await during.stop());
      await last(to, listener);
      const of = (op: string): number => listener.rows.filter((row) => row.op === op).length;
      console.log(
        `PostgreSQL ${server.greeting}, rows and changes: ${of("read")} rows read, ${listener.rows.length - of("read")} changes of ${written} transactions`,
      );
      expect(of("read")).toBeGreaterThan(5900);
      expect(of("update")).toBeGreaterThan(0);
      await expectCopy(to, listener.rows);
      // All rows come before all changes.
      expect(listener.rows.slice(0, of("read")).every(({ op }) => op === "read")).toBe(true);
      const [first] = listener.rows;
      expect(first).toMatchObject({ op: "read", schema: "public", ordinal: 0, xid: null });
      expect(first?.commitTime).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      // And once the changes are past them, nothing is kept of how they were read.
      expect(listener.cursor).not.toHaveProperty("rows");
    },
    LIMIT_MS,
  );

  test("what a slot has kept since it was made is in the rows, and does not come again", async () => {
    const to = await published([10]);
    const table = q(to.tables[0] ?? "");
    await db.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [to.slot]);
    await db.query(
      `insert into ${table} (id, v) values (11, 1); update ${table} set v = 5 where id = 1; delete from ${table} where id = 2`,
    );
    const listener = listen(to);
    listener.isSettling = true;
    await listener.until(10);
    await db.query(`update ${table} set v = 6 where id = 1`);
    await listener.until(11);
    expect(listener.rows.map(({ op }) => op)).toEqual([...numbers(0, 10).map(() => "read"), "update"]);
    await expectCopy(to, listener.rows);
    await listener.stop();
    // A source that goes on reads no rows again.
    await db.query(`delete from ${table} where id = 1`);
    expect(await listen(to, listener.cursor).until(1)).toMatchObject([{ op: "delete", before: { id: 1 } }]);
  });

  test(
    "a table that was read in part when the link was cut is taken back and read anew, and those before it are not",
    async () => {
      const to = await published([1000, 20_000, 10]);
      const proxy = await TcpProxy.to(server);
      const listener = listen(to, undefined, proxy.address);
      // No more is taken than may wait to become durable.
      await vi.waitFor(() => expect(listener.rows.length).toBeGreaterThan(8000), WAIT);
      proxy.cut();
      const [first = "", second = "", third = ""] = to.tables.map(q);
      await db.query(`delete from ${second} where id in (1, 7000, 19000); update ${first} set v = 1 where id < 10;
        insert into ${third} (id) values (11); update ${second} set id = -id where id = 2`);
      proxy.mend();
      listener.isSettling = true;
      listener.settle();
      await last(to, listener);
      await expectCopy(to, listener.rows);
      const back = listener.rows.filter(({ op }) => op === "truncate");
      // Once, or again when the link was not whole at once.
      expect(back.length).toBeGreaterThan(0);
      const taken = { schema: "public", table: to.tables[1], snapshot: true, cascade: false };
      for (const row of back) expect(row).toMatchObject(taken);
      const reads = listener.rows.filter(({ op }) => op === "read").map(({ table }) => table);
      expect(reads.filter((table) => table === to.tables[0])).toHaveLength(1000);
      expect(reads.filter((table) => table === to.tables[1]).length).toBeGreaterThan(20_000);
      // The slot was told of nothing before the rows were read.
      expect(listener.groups.some(({ cursor }) => "rows" in (cursor as JsonObject))).toBe(true);
      await listener.stop();
      await proxy.close();
    },
    LIMIT_MS,
  );

  test("rows have the form of changes, and a publication's conditions and columns hold for them", async () => {
    await db.query(`create table kinds (id int primary key, n numeric, j jsonb, tsz timestamptz, hidden text, twice int generated always as (id * 2) stored);
      create table parted (id int, v text) partition by list (id); create table parted_1 partition of parted for values in (1);
      create table parted_2 partition of parted for values in (2); create table mother (id int primary key); create table child () inherits (mother);
      create publication kinds for table kinds (id, n, j, tsz) where (id < 10), parted, only mother with (publish_via_partition_root = true);
      alter table parted replica identity full; insert into parted values (1, 'a'), (2, 'b'); insert into mother values (1); insert into child values (2);
      insert into kinds values (1, 12.340, '{"a": 1.50}', '2026-01-02 03:04:05.5+02', 'x'), (10, 1, null, null, 'x')`);
    const to = { tables: [], publication: "kinds", slot: "test_kinds" };
    const listener = listen(to);
    await listener.until(4);
    await db.query("insert into kinds select 2, n, j, tsz from kinds where id = 1; insert into parted values (1, 'c')");
    await listener.until(6);
    const of = (table: string): readonly unknown[] =>
      listener.rows.filter((row) => row.table === table).map(({ after }) => after);
    const values = { n: 12.34, j: { a: 1.5 }, tsz: "2026-01-02T01:04:05.5+00:00" };
    expect(of("kinds")).toEqual([
      { id: 1, ...values },
      { id: 2, ...values },
    ]);
    expect(of("parted")).toEqual([
      { id: 1, v: "a" },
      { id: 2, v: "b" },
      { id: 1, v: "c" },
    ]);
    expect(of("mother")).toEqual([{ id: 1 }]);
    await listener.stop();
    await db.query("drop publication kinds; drop table kinds, parted, child, mother");
  });

  test(
    "a table that is written anew between its snapshot and its reading does not look empty",
    async () => {
      const to = await published([100]);
      const table = q(to.tables[0] ?? "");
      const client = await postgresClient(server);
      const { pid } = (await client.query("select pg_backend_pid() pid")).rows[0];
      // In the server, where no busy machine keeps it from being between the two.
      const altering = client
        .query(
          `do $$ begin loop
            alter table ${table} alter v type bigint; commit; alter table ${table} alter v type int; commit;
          end loop; end $$`,
        )
        .catch(reportOf);
      const listener = listen(to);
      const reason = /was altered when its rows were about to be read/;
      await vi.waitFor(() => expect(listener.status.reason).toMatch(reason), WAIT);
      await db.query(`select pg_cancel_backend(${pid})`);
      await altering;
      await client.end();
      await listener.until(100);
      await expectCopy(to, listener.rows);
    },
    LIMIT_MS,
  );

  test(
    "a process that is killed among the rows and among the changes ends with what the table has",
    async () => {
      await db.query(`create table rows_from (id bigint primary key, v int); insert into rows_from select i, 0 from generate_series(1, 20000) i;
        create publication rows for table rows_from; create table rows_to (n bigserial, op text, id bigint, was bigint, v int)`);
      // The kill at the first row that came falls among the rows: those behind it are under way for longer.
      const proxy = await TcpProxy.to(server);
      proxy.delay(20);
      const folder = new GraphFolder({ "graph.yaml": GRAPH(proxy.address, server.address) });
      const came = async (): Promise<number> => Number((await db.query("select count(*) n from rows_to")).rows[0].n);
      const change = (round: number): Promise<unknown> =>
        db.query(`update rows_from set v = v + 1 where id % 10 = ${round}; delete from rows_from where id % 100 = ${50 + round};
          insert into rows_from select 100000 + ${round} * 1000 + i, 0 from generate_series(1, 500) i;
          update rows_from set id = id + 1000000 where id % 100 = ${70 + round} and id < 1000000`);
      let kills = 0;
      try {
        for (; kills < times(2, 6); kills++) {
          const before = await came();
          const running = start(["run", "graph.yaml", "--json", "--port", "0", "--data", folder.data], {
            cwd: folder.path,
          });
          await vi.waitFor(async () => expect(await came()).toBeGreaterThan(before), WAIT);
          running.child.kill("SIGKILL");
          await running.finished;
          proxy.delay(0);
          await change(kills);
        }
        await folder.finish();
        const { rows } = await db.query<Change>("select op, id::int, was::int, v from rows_to order by n");
        const changes = rows.map(({ op, id, was, v }) => ({
          ...{ op, table: "rows_from" },
          ...(was === null ? {} : { before: { id: was } }),
          ...(id === null ? {} : { after: { id, v } }),
        }));
        const copy = TableCopy.of(changes as unknown as readonly JsonObject[]);
        const reads = rows.filter(({ op }) => op === "read").length;
        const back = rows.filter(({ op }) => op === "truncate").length;
        console.log(
          `PostgreSQL rows and changes, ${kills} kill -9 of millrace: ${reads} rows read, ${back} times taken back, ${copy.faults.length} lost or twice`,
        );
        expect(copy.faults).toEqual([]);
        expect(copy.rows("rows_from")).toEqual(await rowsOf("rows_from"));
        expect(back).toBeGreaterThan(0);
      } finally {
        folder.remove();
        await proxy.close();
        await db.query("drop table rows_from, rows_to; drop publication rows");
      }
    },
    LIMIT_MS,
  );
});

interface Change {
  readonly op: string;
  readonly id: number | null;
  readonly was: number | null;
  readonly v: number | null;
}

const GRAPH = (from: string, to: string): string => `name: rows
nodes:
  in: { kind: source, from: "postgres://postgres@${from}/postgres/cdc/rows?slot=test_rows&snapshot=initial&until=now" }
  row:
    kind: map
    input: in
    value: '{"op": event.op, "id": has(event.after) ? event.after.id : null, "v": has(event.after) ? event.after.v : null, "was": has(event.before) ? event.before.id : null}'
  out: { kind: sink, input: row, to: "postgres://postgres@${to}/postgres/table/rows_to" }
`;
