/** Changes of PostgreSQL's tables, from a real server. */
import {
  type Feed,
  type FeedItem,
  type Json,
  type JsonObject,
  parsePostgresAddress,
  reportOf,
  systemEnv,
} from "@millrace/engine";
import { cursorFeedContract } from "@millrace/engine/testing";
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
import { numbers, QUICK, RunningGraph, WAIT } from "./running-graph.ts";

const env = systemEnv();
const SKIPPED = postgresMissing === undefined ? "" : ` (skipped: ${postgresMissing})`;
/** Only what hangs takes so long. */
const LIMIT_MS = 120_000;

describe.skipIf(postgresMissing)(`changes of PostgreSQL's tables${SKIPPED}`, () => {
  let server: ServerProcess;
  let db: pg.Client;
  let count = 0;
  const listening: FeedListener[] = [];
  const q = pg.escapeIdentifier;

  const connected = (): Promise<pg.Client> => postgresClient(server);

  beforeAll(async () => {
    server = await startPostgres();
    db = await connected();
  }, 60_000);
  afterAll(async () => {
    await db?.end();
    await server?.stop();
  });
  afterEach(async () => {
    for (const listener of listening.splice(0)) await listener.stop();
    await vi.waitFor(
      () =>
        db.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'test_%'"),
      WAIT,
    );
  });

  async function configure(setting: string): Promise<void> {
    await db.query(`alter system ${setting}`);
    await db.query("select pg_reload_conf()");
  }

  interface Published {
    readonly table: string;
    readonly publication: string;
    readonly slot: string;
  }

  /** A table with a publication of its own, and a slot that keeps what happens from here on. */
  async function published(columns = "id bigint primary key, v text", hasSlot = true): Promise<Published> {
    const names = { table: `Táblá "${++count}'s`, publication: `Közlés "${count}, a'`, slot: `test_${count}` };
    await db.query(`create table ${q(names.table)} (${columns})`);
    await db.query(`create publication ${q(names.publication)} for table ${q(names.table)}`);
    if (hasSlot) await db.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [names.slot]);
    return names;
  }

  function feedOf({ publication, slot }: Published, options = "", at = server.address): Feed {
    const path = `//postgres@${at}/postgres/cdc/${encodeURIComponent(publication)}?slot=${slot}${options}`;
    const parsed = parsePostgresAddress(path, "source");
    if ("fault" in parsed) throw new Error(parsed.fault);
    return postgresFeed(parsed, env, { policy: QUICK });
  }

  function listen(to: Published, { options = "", cursor, at }: ListenOptions = {}): FeedListener {
    const listener = new FeedListener(feedOf(to, options, at), cursor);
    listening.push(listener);
    return listener;
  }

  const slotRow = async ({ slot }: Published): Promise<Record<string, unknown> | undefined> =>
    (await db.query("select * from pg_replication_slots where slot_name = $1", [slot])).rows[0];
  const add = (to: Published, ids: readonly number[]): Promise<unknown> =>
    db.query(`insert into ${q(to.table)} (id) select unnest($1::bigint[])`, [ids]);
  const ids = (rows: readonly JsonObject[]): readonly unknown[] => rows.map(({ after }) => (after as JsonObject).id);
  /** A slot that is being made is shown before it is known from where on it keeps. */
  const keeps = (to: Published, more: object = {}): Promise<unknown> =>
    vi.waitFor(async () => {
      const kept = { active: true, confirmed_flush_lsn: expect.any(String), ...more };
      expect(await slotRow(to)).toMatchObject(kept);
    }, WAIT);
  const isOff = (to: Published): Promise<unknown> =>
    vi.waitFor(async () => expect((await slotRow(to))?.active).toBe(false), WAIT);

  cursorFeedContract(
    "a publication of PostgreSQL",
    async () => {
      const to = await published("n bigserial primary key, body text");
      const proxy = await TcpProxy.to(server);
      return {
        connect: () => bodiesOf(feedOf(to, "", proxy.address)),
        send: async (bodies) => {
          // Each a transaction, unless they are many.
          const size = bodies.length > 100 ? 500 : 1;
          for (let from = 0; from < bodies.length; from += size) {
            const some = bodies.slice(from, from + size);
            await db.query(`insert into ${q(to.table)} (body) select unnest($1::text[])`, [some]);
          }
        },
        breakConnections() {
          proxy.cut();
          proxy.mend();
        },
        close: () => proxy.close(),
      };
    },
    { jsonOnly: true, forgetsDurable: true, unsettledMax: 8192 },
  );

  test("values have the form that a table's rows have", async () => {
    await db.query(`create type mood as enum ('so "so"', 'glad'); create domain count as int; create domain names as text[];
      create type pair as (a int, b text)`);
    const columns = `id int primary key, b bool, i2 int2, i8 int8, n numeric, f4 float4, f8 float8, inf float8, nan numeric,
      d date, clock time, tz timetz, ts timestamp, tsz timestamptz, bc timestamptz, forever timestamptz, iv interval, u uuid, j json, jb jsonb, by bytea,
      e mood, c count, ns names, p pair, ps pair[], ia int[], ta text[], tsa timestamptz[], ba bool[][], r int4range, ip inet, o oid, ov oidvector,
      bx box[], x xml, nil text`;
    const to = await published(columns);
    const listener = listen(to);
    await db.query(`insert into ${q(to.table)} values (1, true, -2, 9007199254740993, 12.340, 0.1, 1e300, '-infinity', 'nan',
      '2026-01-02', '03:04:05.678', '03:04:05+02', '2026-01-02 03:04:05.123456', '2026-01-02 03:04:05.5+02', '0044-03-15 00:00:00+00 BC', 'infinity',
      '1 year 2 days 00:00:03', '00000000-0000-0000-0000-000000000001', '{"b": [1, null]}', '{"a": 1.50}', '\\x00ff',
      'so "so"', 7, array['a"b', null, 'NULL', '{}', ''], (1, 'x "y"'), array[(2, null)::pair], '[0:1]={1,null}', array['ő,', 'b\\'],
      array['2026-01-02 03:04:05+00'::timestamptz], array[[true],[false]], '[1,5)', '10.0.0.1/8', 42, '1 2', array[box '(1,1),(0,0)'], '<a/>', null)`);
    const [row] = await listener.until(1);
    await db.query("set intervalstyle to 'iso_8601'");
    const [{ expected }] = (await db.query(`select row_to_json(t) as expected from ${q(to.table)} t`)).rows;
    expect(row?.after).toEqual(expected);
    expect(Object.keys(expected)).toHaveLength(37);
  });

  test("inserts, updates, deletes and truncations of a transaction come as they were made, with where and when it committed", async () => {
    const to = await published();
    const table = q(to.table);
    const listener = listen(to);
    await db.query(`begin; insert into ${table} values (1, 'a'), (2, 'b'); update ${table} set v = 'c' where id = 1;
      update ${table} set id = 3 where id = 2; delete from ${table} where id = 1; truncate ${table} restart identity; commit`);
    const [first] = await listener.until(6);
    const at = { schema: "public", table: to.table, lsn: first?.lsn, xid: first?.xid, commitTime: first?.commitTime };
    expect(listener.rows).toEqual([
      { ...at, op: "insert", after: { id: 1, v: "a" }, ordinal: 0 },
      { ...at, op: "insert", after: { id: 2, v: "b" }, ordinal: 1 },
      { ...at, op: "update", after: { id: 1, v: "c" }, ordinal: 2 },
      { ...at, op: "update", before: { id: 2 }, after: { id: 3, v: "b" }, ordinal: 3 },
      { ...at, op: "delete", before: { id: 1 }, ordinal: 4 },
      { ...at, op: "truncate", cascade: false, restartIdentity: true, ordinal: 5 },
    ]);
    expect(listener.groups).toHaveLength(1);
    expect(first?.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(first?.commitTime).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(first?.xid).toEqual(expect.any(Number));
  });

  test("a large value that an update left alone is named and not made up, unless the table gives whole rows", async () => {
    const to = await published("id int primary key, v int, doc text, nothing text");
    const table = q(to.table);
    await db.query(`alter table ${table} alter doc set storage external`);
    const listener = listen(to);
    const doc = "x".repeat(10_000);
    await db.query(`insert into ${table} values (1, 1, $1)`, [doc]);
    await db.query(`update ${table} set v = 2`);
    await db.query(`alter table ${table} replica identity full`);
    await db.query(`update ${table} set v = 3`);
    await db.query(`delete from ${table}`);
    const [, partly, wholly, gone] = await listener.until(4);
    expect(partly).toMatchObject({ after: { id: 1, v: 2, nothing: null }, unchanged: ["doc"] });
    expect(partly?.after).not.toHaveProperty("doc");
    const before = { id: 1, v: 2, doc, nothing: null };
    expect(wholly).toMatchObject({ op: "update", before, after: { ...before, v: 3 } });
    expect(wholly).not.toHaveProperty("unchanged");
    expect(gone).toMatchObject({ op: "delete", before: { ...before, v: 3 } });
  });

  test("a table that is altered gives rows as it was when they were written", async () => {
    const to = await published();
    const table = q(to.table);
    await db.query(`insert into ${table} values (1, 'a'); alter table ${table} add more int[] default '{1}';
      insert into ${table} values (2, 'b'); alter table ${table} drop v; alter table ${table} rename id to "__proto__";
      alter table ${table} alter more type text using more::text; insert into ${table} values (3, 'c')`);
    const rows = await listen(to).until(3);
    expect(rows.map(({ after }) => JSON.stringify(after))).toEqual([
      '{"id":1,"v":"a"}',
      '{"id":2,"v":"b","more":[1]}',
      '{"__proto__":3,"more":"c"}',
    ]);
  });

  test("transactions that ran at the same time come one after another, in the order of their commits, and those that were rolled back do not", async () => {
    const to = await published();
    const [one, other, none] = [await connected(), await connected(), await connected()];
    const table = q(to.table);
    for (const client of [one, other, none]) await client.query("begin");
    await one.query(`insert into ${table} values (1)`);
    await other.query(`insert into ${table} values (2)`);
    await none.query(`insert into ${table} values (3)`);
    await one.query(`insert into ${table} values (4)`);
    await other.query("commit");
    await none.query("rollback");
    await one.query(`insert into ${table} values (5)`);
    await one.query("commit");
    const listener = listen(to);
    expect(ids(await listener.until(4))).toEqual([2, 1, 4, 5]);
    expect(listener.groups.map(({ items }) => items.length)).toEqual([1, 3]);
    for (const client of [one, other, none]) await client.end();
  });

  test(
    "no more is taken than may wait to become durable, the server is answered meanwhile, and keeps what is not durable",
    async () => {
      await configure("set wal_sender_timeout = '1500ms'");
      try {
        const to = await published();
        const total = 30_000;
        await add(to, numbers(0, total));
        const before = (await slotRow(to))?.confirmed_flush_lsn;
        const listener = listen(to);
        await vi.waitFor(() => expect(listener.rows.length).toBeGreaterThan(8000), WAIT);
        // A connection that was not answered for would not live so long; one that a busy process answered too late is followed by another.
        const alive = `select 1 from pg_stat_replication r join pg_replication_slots s on r.pid = s.active_pid
          where s.slot_name = $1 and now() - r.backend_start > interval '3500 ms'`;
        await vi.waitFor(async () => expect((await db.query(alive, [to.slot])).rows).toHaveLength(1), WAIT);
        expect(listener.rows.length).toBeLessThan(10_000);
        expect(await slotRow(to)).toMatchObject({ active: true, confirmed_flush_lsn: before });
        expect(listener.groups.every(({ items }) => items.length <= 1000)).toBe(true);
        listener.isSettling = true;
        listener.settle();
        expect(ids(await listener.until(total))).toEqual(numbers(0, total));
        await vi.waitFor(async () => expect((await slotRow(to))?.confirmed_flush_lsn).not.toBe(before), WAIT);
      } finally {
        await configure("reset wal_sender_timeout");
      }
    },
    LIMIT_MS,
  );

  test("over another connection the server is told no more than what is durable", async () => {
    const to = await published();
    const proxy = await TcpProxy.to(server);
    const listener = listen(to, { at: proxy.address });
    await add(to, [1]);
    await add(to, [2]);
    await listener.until(2);
    const { active_pid: first, confirmed_flush_lsn: before } = (await slotRow(to)) ?? {};
    proxy.cut();
    proxy.mend();
    const told = "select pid, flush_lsn from pg_stat_replication where flush_lsn is not null and pid = $1";
    await vi.waitFor(async () => {
      const now = (await slotRow(to))?.active_pid;
      expect([null, first]).not.toContain(now);
      expect((await db.query(told, [now])).rows).toHaveLength(1);
    }, WAIT);
    expect((await slotRow(to))?.confirmed_flush_lsn).toBe(before);
    await listener.stop();
    await proxy.close();
  });

  test("a transaction that was durable in part is taken from there on", async () => {
    const to = await published();
    await add(to, numbers(0, 5000));
    await add(to, [5000]);
    const first = listen(to);
    await first.until(5001);
    first.settle(2);
    const cursor = structuredClone(first.cursor) as Json;
    await first.stop();
    await isOff(to);
    const taken = first.groups.slice(0, 2).flatMap(({ items }) => items).length;
    expect(taken).toBeLessThan(5000);
    expect(ids(await listen(to, { cursor }).until(5001 - taken))).toEqual(numbers(taken, 5001 - taken));
  });

  test("the slot follows the log of a server that has no changes for the source, and is no gap then", async () => {
    const to = await published();
    const other = await published("id bigint primary key, v text", false);
    const listener = listen(to);
    listener.isSettling = true;
    await add(to, [1]);
    await listener.until(1);
    const behind = async (): Promise<number> => {
      const { rows } = await db.query(
        "select pg_current_wal_lsn() - confirmed_flush_lsn as bytes from pg_replication_slots where slot_name = $1",
        [to.slot],
      );
      return Number(rows[0].bytes);
    };
    await db.query(`insert into ${q(other.table)} select i, repeat('x', 1000) from generate_series(1, 5000) i`);
    await vi.waitFor(async () => expect(await behind()).toBeLessThan(1_200_000), WAIT);
    expect(listener.rows).toHaveLength(1);
    await listener.stop();
    await isOff(to);
    await add(to, [2]);
    expect(ids(await listen(to, { cursor: listener.cursor as Json }).until(1))).toEqual([2]);
  });

  test("until now ends behind the last transaction that has committed by then", async () => {
    const to = await published();
    const open = await connected();
    await open.query(`begin; insert into ${q(to.table)} values (100)`);
    await add(to, [1, 2]);
    const ending = listen(to, { options: "&until=now" });
    ending.isSettling = true;
    expect(await ending.ended).toBe("end");
    expect(ids(ending.rows)).toEqual([1, 2]);
    await open.query("commit");
    await open.end();
    const next = listen(to, { options: "&until=now", cursor: ending.cursor as Json });
    next.isSettling = true;
    expect(await next.ended).toBe("end");
    expect(ids(next.rows)).toEqual([100]);
  });

  for (const how of ["dropped", "invalidated", "moved on by somebody"] as const) {
    test(
      `a slot that was ${how} is a gap with its range: it ends the source, or is recorded and passed`,
      async () => {
        const to = await published();
        const first = listen(to);
        first.isSettling = true;
        await add(to, [1]);
        await first.until(1);
        await vi.waitFor(async () => expect((await slotRow(to))?.confirmed_flush_lsn).toBe(confirmedBy(first)), WAIT);
        await first.stop();
        await isOff(to);
        await add(to, [2]);
        if (how === "dropped") await db.query("select pg_drop_replication_slot($1)", [to.slot]);
        else if (how === "moved on by somebody")
          await db.query("select pg_replication_slot_advance($1, pg_current_wal_lsn())", [to.slot]);
        else await invalidate(to);
        const cursor = first.cursor as { readonly lsn: string };
        const stopped = listen(to, { cursor });
        const gap = { code: "SOURCE-GAP", kind: "terminal", place: { stream: to.slot } };
        expect(await stopped.ended).toMatchObject({
          ...gap,
          details: { from: cursor.lsn, publication: to.publication },
        });
        expect(stopped.groups).toEqual([]);
        // Nothing was decided, so nothing has changed.
        expect(await listen(to, { cursor }).ended).toMatchObject(gap);
        const passing = listen(to, { options: "&gap=record", cursor });
        passing.isSettling = true;
        await vi.waitFor(() => expect(passing.groups).not.toHaveLength(0), WAIT);
        const [item] = passing.groups[0]?.items ?? [];
        const { from, to: end } = (item as FeedItem).message as { readonly from: string; readonly to: string };
        expect(reportOf(item?.error)).toMatchObject({ ...gap, details: { from, to: end } });
        await add(to, [3]);
        await passing.until(2);
        expect(ids(passing.rows.slice(1))).toEqual([3]);
        const lost = "select $1::pg_lsn = $2::pg_lsn and $3::pg_lsn > $1::pg_lsn and $4::pg_lsn >= $3::pg_lsn as exact";
        const known = [from, cursor.lsn, end, passing.rows[1]?.lsn];
        expect((await db.query(lost, known)).rows).toEqual([{ exact: true }]);
        // What was passed is passed: there is no gap any more.
        await passing.stop();
        await isOff(to);
        await add(to, [4]);
        expect(ids(await listen(to, { cursor: passing.cursor as Json }).until(1))).toEqual([4]);
      },
      LIMIT_MS,
    );
  }

  const confirmedBy = ({ cursor }: FeedListener): unknown => (cursor as { readonly lsn: string } | undefined)?.lsn;

  async function invalidate(to: Published): Promise<void> {
    await configure("set max_slot_wal_keep_size = '1MB'");
    try {
      await vi.waitFor(async () => {
        await db.query("select pg_switch_wal()");
        await db.query("checkpoint");
        expect((await slotRow(to))?.wal_status).toBe("lost");
      }, WAIT);
    } finally {
      await configure("reset max_slot_wal_keep_size");
    }
  }

  test("a temporary slot is gone with its connection, and what happened meanwhile is recorded", async () => {
    const to = await published(undefined, false);
    const proxy = await TcpProxy.to(server);
    const listener = listen(to, { options: "&temporary=true&gap=record", at: proxy.address });
    listener.isSettling = true;
    await keeps(to, { temporary: true });
    await add(to, [1]);
    await listener.until(1);
    proxy.cut();
    await vi.waitFor(async () => expect(await slotRow(to)).toBeUndefined(), WAIT);
    await add(to, [2]);
    proxy.mend();
    await keeps(to, { temporary: true });
    await add(to, [3]);
    const [, gap, last] = await listener.until(3);
    expect(gap).toMatchObject({ slot: to.slot, from: expect.any(String), to: expect.any(String) });
    expect(last).toMatchObject({ after: { id: 3 } });
    await listener.stop();
    await proxy.close();
    await vi.waitFor(async () => expect(await slotRow(to)).toBeUndefined(), WAIT);
  });

  test("another database cluster, slots that are something else, and what is not there are refused with the reason", async () => {
    const to = await published();
    const elsewhere = listen(to, { cursor: { system: "1", lsn: "0/1", ord: 0 } });
    expect(await elsewhere.ended).toMatchObject({ code: "SOURCE-RECREATED", details: { before: "1" } });
    const { rows } = await db.query("select system_identifier::text as system from pg_control_system()");
    const ahead = listen(to, { cursor: { system: rows[0].system, lsn: "FF/1", ord: 0 } });
    expect(await ahead.ended).toMatchObject({ code: "SOURCE-RECREATED", details: { read: "FF/1" } });
    const shows = async (feed: Published, options: string, reason: string): Promise<void> => {
      const refused = listen(feed, { options });
      await vi.waitFor(() => expect(refused.status.reason).toContain(reason), WAIT);
      await refused.stop();
    };
    await shows(to, "&temporary=true&gap=record", `slot ${to.slot} is not temporary`);
    const decoding = { ...to, slot: `${to.slot}_d` };
    await db.query("select pg_create_logical_replication_slot($1, 'test_decoding')", [decoding.slot]);
    await shows(decoding, "", "is for test_decoding, not pgoutput");
    const physical = { ...to, slot: `${to.slot}_p` };
    await db.query("select pg_create_physical_replication_slot($1)", [physical.slot]);
    await shows(physical, "", "is physical, not pgoutput");
    await shows({ ...to, publication: "none" }, "", "there is no publication none");
    const holder = listen(to);
    await vi.waitFor(async () => expect((await slotRow(to))?.active).toBe(true), WAIT);
    await shows(to, "", "is held by process");
    await add(to, [1]);
    await holder.until(1);
  });

  test(
    "a graph loses nothing and takes nothing twice while the server is killed, links are cut, and fall silent",
    async () => {
      await db.query(`create table cdc_from (id bigint primary key, v int); create publication cdc for table cdc_from;
      create table cdc_to (n bigserial, id bigint, v int)`);
      const proxy = await TcpProxy.to(server);
      const graph = await RunningGraph.start(graphText("faults", proxy.address));
      const [rounds, each] = [times(6, 24), 2000];
      const total = rounds * each;
      let [kills, cuts, silences] = [0, 0, 0];
      const arrived = async (): Promise<number> => Number((await db.query("select count(*) n from cdc_to")).rows[0].n);
      try {
        await keeps(NAMES);
        for (let round = 0; round < rounds; round++) {
          const [from, to] = [round * each, (round + 1) * each - 1];
          await db.query(`insert into cdc_from select i, i from generate_series(${from}, ${to}) i`);
          if (round % 6 === 4) {
            await server.kill();
            kills++;
            await server.start();
            db = await connected();
          } else if (round % 6 === 2) {
            proxy.hold();
            silences++;
          } else if (round % 2 === 1) {
            proxy.cut();
            proxy.mend();
            cuts++;
          } else await vi.waitFor(async () => expect(await arrived()).toBeGreaterThan(from), WAIT);
        }
        await vi.waitFor(async () => expect(await arrived()).toBeGreaterThanOrEqual(total), WAIT);
        const { rows } = await db.query("select v from cdc_to order by n");
        const values = rows.map(({ v }) => v as number);
        const lost = total - new Set(values).size;
        console.log(
          `PostgreSQL ${server.greeting}, changes: ${total} rows, ${kills} kills -9, ${cuts} cuts, ${silences} silences: ${lost} lost, ${values.length - total + lost} twice`,
        );
        expect(values).toEqual(numbers(0, total));
      } finally {
        await graph.stop();
        await proxy.close();
        await db.query("drop table cdc_from, cdc_to; drop publication cdc");
      }
    },
    LIMIT_MS,
  );

  test(
    "a process that is killed in the middle of a transaction goes on in it, and until now a run ends and the next goes on",
    async () => {
      await db.query(`create table cdc_from (id bigint primary key, v int); create publication cdc for table cdc_from;
      create table cdc_to (n bigserial, id bigint, v int)`);
      await db.query("select pg_create_logical_replication_slot('test_graph', 'pgoutput')");
      // The kill at the first row that came falls in the transaction: each step of what is behind it has a longer way.
      const proxy = await TcpProxy.to(server);
      proxy.delay(20);
      const folder = new GraphFolder({ "graph.yaml": graphText("kills", proxy.address, "&until=now") });
      const insert = (from: number, n: number): Promise<unknown> =>
        db.query(`insert into cdc_from select i, i from generate_series(${from}, ${from + n - 1}) i`);
      const values = async (): Promise<readonly number[]> =>
        (await db.query("select v from cdc_to order by n")).rows.map(({ v }) => v);
      const total = 20_000;
      let kills = 0;
      try {
        await insert(0, total);
        for (; kills < times(1, 4); kills++) {
          const before = (await values()).length;
          const running = start(["run", "graph.yaml", "--json", "--port", "0", "--data", folder.data], {
            cwd: folder.path,
          });
          await vi.waitFor(async () => expect((await values()).length).toBeGreaterThan(before), WAIT);
          running.child.kill("SIGKILL");
          await running.finished;
          expect((await values()).length).toBeLessThan(total);
        }
        proxy.delay(0);
        await folder.finish();
        const came = await values();
        const lost = total - new Set(came).size;
        console.log(
          `PostgreSQL changes, a transaction of ${total} rows, ${kills} kill -9 of millrace in it: ${lost} lost, ${came.length - total + lost} twice`,
        );
        expect(came).toEqual(numbers(0, total));
        await insert(total, 5);
        await folder.finish();
        expect(await values()).toEqual(numbers(0, total + 5));
      } finally {
        folder.remove();
        await proxy.close();
        await db.query("drop table cdc_from, cdc_to; drop publication cdc");
      }
    },
    LIMIT_MS,
  );

  test(
    "a graph whose slot is gone is parked with the range until somebody decides",
    async () => {
      const to = await published();
      await db.query("create table cdc_to (n bigserial, id bigint, v text)");
      const text = graphText("gone", server.address, "", { ...to, publication: encodeURIComponent(to.publication) });
      const graph = await RunningGraph.start(text);
      await add(to, [1]);
      const arrived = async (): Promise<readonly unknown[]> =>
        (await db.query("select id from cdc_to order by n")).rows.map(({ id }) => Number(id));
      await vi.waitFor(async () => expect(await arrived()).toEqual([1]), WAIT);
      const { log } = graph;
      await graph.stop();
      await isOff(to);
      await db.query("select pg_drop_replication_slot($1)", [to.slot]);
      await add(to, [2]);
      const parked = await RunningGraph.start(text, log);
      const source = () => parked.status().nodes.find(({ node }) => node === "in");
      await vi.waitFor(() => expect(source()?.state).toBe("parked"), WAIT);
      expect(source()?.lastError).toMatchObject({ code: "SOURCE-GAP", details: { slot: to.slot } });
      await parked.stop();
      const decided = await RunningGraph.start(text.replace("?slot=", "?gap=record&slot="), log);
      await keeps(to);
      await add(to, [3]);
      await vi.waitFor(async () => expect(await arrived()).toEqual([1, 3]), WAIT);
      expect(decided.status().nodes.find(({ node }) => node === "in")).toMatchObject({ deadLettered: 1 });
      await decided.stop();
      await db.query("drop table cdc_to");
    },
    LIMIT_MS,
  );
});

interface ListenOptions {
  readonly options?: string;
  readonly cursor?: Json;
  readonly at?: string;
}

const NAMES = { table: "cdc_from", publication: "cdc", slot: "test_graph" };

/** Of another name is another sink, which begins anew. */
function graphText(name: string, at: string, options = "", { publication, slot } = NAMES): string {
  const database = `postgres://postgres@${at}/postgres`;
  return `name: ${name}
nodes:
  in: { kind: source, from: "${database}/cdc/${publication}?slot=${slot}${options}" }
  row: { kind: map, input: in, value: '{"id": event.after.id, "v": event.after.v}' }
  out: { kind: sink, input: row, to: "${database}/table/cdc_to" }
`;
}

/** A feed of rows as one of the bodies in them, which are never settled, so that they can be read again. */
function bodiesOf(feed: Feed): Feed {
  const bodyOf = (row: Json): Json => JSON.parse(((row as JsonObject).after as { body: string }).body) as Json;
  return {
    ...feed,
    run: (intake, signal) =>
      feed.run(
        {
          ...intake,
          cursor: intake.cursor,
          takeGroup: ({ items, ...group }) =>
            intake.takeGroup({ ...group, items: items.map(({ message }) => ({ message: bodyOf(message) })) }),
        },
        signal,
      ),
  };
}
