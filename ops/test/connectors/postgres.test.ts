/** PostgreSQL connectors against a real server. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Feed,
  type FeedIntake,
  type FeedReceipt,
  type Json,
  type JsonObject,
  parsePostgresAddress,
  reportOf,
  type SinkConnector,
  type SourceBatch,
  type SourceConnector,
  type SqlAddress,
  systemEnv,
} from "@millrace/engine";
import { feedContract, sourceContract } from "@millrace/engine/testing";
import { postgresFeed, postgresSink, postgresSource } from "@millrace/streams/postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { postgresClient, postgresMissing, startPostgres } from "../../services/postgres-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { QUICK, RunningGraph, slice, WAIT } from "./running-graph.ts";
import { sqlTables } from "./sql-tables.ts";

const env = systemEnv();
const SKIPPED = postgresMissing === undefined ? "" : ` (skipped: ${postgresMissing})`;

/** A feed of rows, of which only the body is shown. */
function bodiesOf(feed: Feed): Feed {
  return {
    ...feed,
    run: (into, signal) =>
      feed.run({ ...into, take: (row, receipt) => into.take((row as { readonly body: Json }).body, receipt) }, signal),
  };
}

describe.skipIf(postgresMissing)(`PostgreSQL${SKIPPED}`, () => {
  let server: ServerProcess;
  let wire: TcpProxy;
  let db: pg.Client;
  let count = 0;
  /** Names that only quoting keeps what they are. */
  const next = (): string => `Táblá "${++count}"; drop`;
  const q = pg.escapeIdentifier;

  const connected = (): Promise<pg.Client> => postgresClient(server);

  beforeAll(async () => {
    server = await startPostgres();
    wire = await TcpProxy.to(server);
    db = await connected();
  }, 60_000);
  afterAll(async () => {
    await db?.end();
    await wire?.close();
    await server?.stop();
  });

  const breakConnections = (): void => wire.snap();
  const address = (table: string, options = "", side: "source" | "sink" = "source"): SqlAddress => {
    const path = `//postgres@${wire.address}/postgres/table/${encodeURIComponent(table)}${options}`;
    const parsed = parsePostgresAddress(path, side);
    if ("fault" in parsed) throw new Error(parsed.fault);
    return parsed;
  };
  const source = (table: string, options = ""): SourceConnector =>
    postgresSource(address(table, `?cursor=id${options}`), env, { policy: QUICK, pollMs: 20 });
  const sink = (table: string, key: readonly string[] = ["id"]): SinkConnector =>
    postgresSink(address(table, "", "sink"), { id: "g/out", key, policy: QUICK }, env);
  const made = async (columns = "id bigint primary key, name text, amount float8, ok bool"): Promise<string> => {
    const table = next();
    await db.query(`create table ${q(table)} (${columns})`);
    return table;
  };
  const rowsOf = async (table: string, order = "id"): Promise<readonly Json[]> =>
    (await db.query(`select row_to_json(t) as row from ${q(table)} t order by ${order}`)).rows.map(({ row }) => row);
  const insert = (table: string, rows: readonly JsonObject[]): Promise<unknown> =>
    db.query(`insert into ${q(table)} select * from json_populate_recordset(null::${q(table)}, $1)`, [
      JSON.stringify(rows),
    ]);

  for (const ending of ["", "&until=now"]) {
    sourceContract(`a PostgreSQL table${ending === "" ? "" : " until now"}`, {
      positions: times(6, 20),
      async holding(rows) {
        const table = await made();
        await insert(table, rows);
        return { connector: source(table, ending), breakConnections, close: async () => undefined };
      },
      missing: async () => ({ connector: source("none", ending), close: async () => undefined }),
    });
  }

  feedContract(
    "an outbox of PostgreSQL",
    async () => {
      const outbox = `outbox_of_${++count}`;
      await db.query(`create table ${outbox} (n bigserial primary key, body json)`);
      const proxy = await TcpProxy.to(server);
      const path = `//postgres@${proxy.address}/postgres/outbox/${outbox}?key=n`;
      const parsed = parsePostgresAddress(path, "source");
      if ("fault" in parsed) throw new Error(parsed.fault);
      return {
        connect: (takenMax) => bodiesOf(postgresFeed(parsed, env, { policy: QUICK, pollMs: 10, takenMax })),
        async send(bodies) {
          await db.query(`insert into ${outbox} (body) select unnest($1::text[])::json`, [bodies]);
        },
        breakConnections: () => proxy.snap(),
        close: () => proxy.close(),
      };
    },
    { jsonOnly: true },
  );

  sqlTables({
    name: "PostgreSQL",
    codes: "POSTGRES",
    server: () => server,
    connected,
    async reconnect() {
      db = await connected();
    },
    query: (statement) => db.query(statement),
    one: async (statement) => Number((await db.query(statement)).rows[0].n),
    made,
    quoted: q,
    rowsOf,
    source,
    sink,
    breakConnections,
    address: (host) => `postgres://postgres@${host}/postgres`,
    numbered: "bigint generated always as identity primary key",
    counter: "bigserial",
    text: "text",
    arrival: { column: "n bigserial, ", order: "n" },
    pause: "select pg_sleep(0.003)",
  });

  test("a row that commits after rows with higher numbers is read, also by who polled meanwhile", async () => {
    const table = await made("id bigint generated always as identity primary key, v int");
    const late = await connected();
    const reader = await source(table).open("0", -1);
    const add = (client: pg.Client, v: number): Promise<unknown> =>
      client.query(`insert into ${q(table)} (v) values ($1)`, [v]);
    await late.query("begin");
    await add(late, 0);
    await add(db, 1);
    expect(await reader.read(10)).toBe("idle");
    // Prepared, it belongs to no session any more.
    await late.query("prepare transaction 'late'");
    await add(db, 2);
    expect(await reader.read(10)).toBe("idle");
    await late.query("commit prepared 'late'");
    await vi.waitFor(async () => {
      const read = (await reader.read(10)) as SourceBatch;
      expect(read.batch.rows()).toEqual([0, 1, 2].map((v) => ({ id: v + 1, v })));
    }, WAIT);
    await reader.close();
    await late.end();
  });

  test("a column that is no cursor, and a table that was made anew, are refused", async () => {
    const refusal = async (columns: string, rows: readonly JsonObject[] = []): Promise<unknown> => {
      const table = await made(columns);
      await insert(table, rows);
      const reader = await source(table).open("0", -1);
      return reader
        .read(1)
        .catch(reportOf)
        .finally(() => reader.close());
    };
    const refused = (reason: string) =>
      expect.objectContaining({ code: "POSTGRES-CURSOR", kind: "terminal", message: expect.stringContaining(reason) });
    expect(await refusal("x int")).toEqual(refused("is no column"));
    expect(await refusal("id text primary key")).toEqual(refused("is of type text"));
    expect(await refusal("id int not null")).toEqual(refused("the same value twice"));
    expect(await refusal("id int not null, x int, unique (id, x)")).toEqual(refused("the same value twice"));
    expect(await refusal("id int unique")).toEqual(refused("may hold nothing"));
    expect(await refusal("id int primary key", [{ id: -1 }])).toEqual(refused("negative"));
    expect(await refusal("id bigint primary key, v text", [{ id: 2 ** 60 }])).toEqual(refused("above 2^53 - 1"));
    const table = await made();
    await insert(table, [{ id: 1 }]);
    const identity = async (): Promise<string | undefined> => {
      const reader = await source(table).open("0", -1);
      await reader.read(1);
      await reader.close();
      return reader.identity;
    };
    const before = await identity();
    expect(await identity()).toBe(before);
    await db.query(`drop table ${q(table)}; create table ${q(table)} (id int primary key)`);
    expect(await identity()).not.toBe(before);
  });

  test("a row replaces what it names of the row with its key, and what does not fit is refused as the row's fault", async () => {
    const table = await made("id bigint primary key, name text check (name <> 'no'), at timestamptz, doc jsonb");
    const into = sink(table);
    await into.open(undefined);
    await into.deliver([
      slice(0, [
        { id: 1, name: "a", doc: { x: [1] } },
        { id: 1, name: "b", doc: null },
        { id: 2, at: "2026-01-02T03:04:05+02:00" },
        { id: 1, at: "2026-01-01T00:00:00Z" },
      ]),
    ]);
    expect(await rowsOf(table)).toEqual([
      { id: 1, name: "b", at: expect.stringMatching(/^2026-01-01T00:00:00/), doc: null },
      { id: 2, name: null, at: expect.stringMatching(/^2026-01-02T01:04:05/), doc: null },
    ]);
    const refusal = (row: Json): Promise<unknown> => into.deliver([slice(4, [row])]).catch(reportOf);
    const refused = (reason: string) =>
      expect.objectContaining({ code: "POSTGRES-ROW", kind: "rejected", message: expect.stringContaining(reason) });
    expect(await refusal({ id: 3, name: "no" })).toEqual(refused("check constraint"));
    expect(await refusal({ id: 3, at: "soon" })).toEqual(refused("invalid input syntax"));
    expect(await refusal({ id: 3, nam: "x" })).toEqual(refused("`nam`, which is no column"));
    expect(await refusal({ name: "x" })).toEqual(refused("no value for `id`"));
    expect(await refusal({})).toEqual(refused("names no column"));
    expect(await refusal(3)).toEqual(refused("is no object"));
    expect(await rowsOf(table)).toHaveLength(2);
    await into.deliver([slice(4, [{ id: 3 }])]);
    expect(await rowsOf(table)).toHaveLength(3);
    await into.close();
    const keyless = sink(await made("id bigint"));
    await keyless.open(undefined);
    expect(await keyless.deliver([slice(0, [{ id: 1 }])]).catch(reportOf)).toMatchObject({
      code: "POSTGRES-KEY",
      kind: "terminal",
    });
    await keyless.close();
  });

  test("what a trigger, a policy, an index or a computed column refuses is the row's fault, and does not come again for ever", async () => {
    const table = await made("id int primary key, name text, twice int generated always as (id * 2) stored");
    const of = q(table);
    await db.query(`create index on ${of} (name);
      create function ${of}() returns trigger language plpgsql as $$ begin if new.id > 9 then raise 'above 9'; end if; return new; end $$;
      create trigger small before insert on ${of} for each row execute function ${of}();
      create role limited login; grant all on all tables in schema public to limited; grant create on schema public to limited;
      alter default privileges in schema public grant all on tables to limited;
      create policy own on ${of} using (true) with check (id > 0); alter table ${of} enable row level security`);
    const refused = async (row: Json, user = "postgres"): Promise<unknown> => {
      const into = postgresSink(
        { ...address(table, "", "sink"), user },
        { id: "g/out", key: ["id"], policy: QUICK },
        env,
      );
      await into.open(undefined);
      const outcome = await into.deliver([slice(0, [row])]).then(() => "taken", reportOf);
      await into.close();
      return outcome;
    };
    const fault = (sqlstate: string) =>
      expect.objectContaining({ code: "POSTGRES-ROW", details: { table: `public.${table}`, sqlstate } });
    expect(await refused({ id: 10 })).toEqual(fault("P0001"));
    expect(await refused({ id: 1, twice: 2 })).toEqual(fault("428C9"));
    expect(await refused({ id: 1, name: randomBytes(4096).toString("hex") })).toEqual(fault("54000"));
    expect(await refused({ id: 0 }, "limited")).toEqual(fault("42501"));
    expect(await refused({ id: 1 })).toBe("taken");
  });

  test("an answered commit is on the server's disk, also where the server is told not to wait for that", async () => {
    const table = await made("id int primary key, synchronous text default current_setting('synchronous_commit')");
    await db.query("alter database postgres set synchronous_commit = off");
    try {
      const into = sink(table);
      await into.open(undefined);
      await into.deliver([slice(0, [{ id: 1 }])]);
      await into.close();
    } finally {
      await db.query("alter database postgres reset synchronous_commit");
    }
    expect(await rowsOf(table)).toEqual([{ id: 1, synchronous: "on" }]);
  });

  for (const how of ["deleted", "marked"]) {
    test(`every row of an outbox is taken once and then ${how}, also while the server is killed and answers are lost`, async () => {
      const [from, to] = [`outbox_${how}`, `outbox_${how}_to`];
      const option = how === "marked" ? "?mark=done" : "";
      await db.query(`create table ${from} (id uuid primary key default gen_random_uuid(), v int, done timestamptz);
        create table ${to} (id uuid, v int, done timestamptz)`);
      const proxy = await TcpProxy.to(server);
      const graph = await RunningGraph.start(`name: ${how}
nodes:
  in: { kind: source, from: "postgres://postgres@${proxy.address}/postgres/outbox/${from}${option}" }
  out: { kind: sink, input: in, to: "postgres://postgres@${server.address}/postgres/table/${to}" }
`);
      const left = `select count(*)::int as n from ${from} where done is null`;
      const [rounds, each] = [8, 250];
      try {
        for (let round = 1; round <= rounds; round++) {
          // What became durable is known to be done with by the server only, or not even by it.
          if (round % 2 === 0) proxy.cutAnswerTo(how === "marked" ? "\u0000update" : "\u0000delete");
          await db.query(`insert into ${from} (v) select v from generate_series($1::int, $2) as v`, [
            (round - 1) * each,
            round * each - 1,
          ]);
          if (round % 4 === 0) {
            await server.kill();
            await server.start();
            db = await connected();
          }
          await vi.waitFor(async () => expect((await db.query(left)).rows).toEqual([{ n: 0 }]), WAIT);
        }
        await vi.waitFor(async () => {
          const { rows } = await db.query(`select count(distinct v)::int as n from ${to}`);
          expect(rows[0].n).toBe(rounds * each);
        }, WAIT);
        const [{ n }] = (await db.query(`select count(*)::int as n from ${to}`)).rows as [{ n: number }];
        console.log(`postgres outbox, ${how}: ${rounds * each} rows: 0 lost, ${n - rounds * each} twice`);
        expect(n).toBe(rounds * each);
        const [{ kept }] = (await db.query(`select count(*)::int as kept from ${from}`)).rows as [{ kept: number }];
        expect(kept).toBe(how === "marked" ? rounds * each : 0);
      } finally {
        await graph.stop();
        await proxy.close();
      }
    }, 60_000);
  }

  test("a row of an outbox stays until it is durable, and a column that is no key is refused", async () => {
    const table = await made("id bigint primary key, v text");
    await insert(table, [{ id: 1 }, { id: 2 }]);
    const outbox = (name: string, options = ""): Feed => {
      const path = `//postgres@${server.address}/postgres/outbox/${encodeURIComponent(name)}${options}`;
      const parsed = parsePostgresAddress(path, "source");
      if ("fault" in parsed) throw new Error(parsed.fault);
      return postgresFeed(parsed, env, { policy: QUICK, pollMs: 10 });
    };
    const taken: FeedReceipt[] = [];
    const stop = new AbortController();
    const intake: FeedIntake = {
      cursor: undefined,
      takeGroup: () => undefined,
      take: (_message, receipt) => void taken.push(receipt as FeedReceipt),
      reject: () => expect.unreachable(),
      lose: () => expect.unreachable(),
    };
    const running = outbox(table).run(intake, stop.signal);
    await vi.waitFor(() => expect(taken).toHaveLength(2), WAIT);
    expect(await rowsOf(table)).toHaveLength(2);
    taken[1]?.settle?.();
    await vi.waitFor(async () => expect(await rowsOf(table)).toEqual([{ id: 1, v: null }]), WAIT);
    // Whoever comes next finds what is not done, and knows it by the same id.
    const again = outbox(table).run(intake, stop.signal);
    await vi.waitFor(() => expect(taken.map(({ id }) => id)).toEqual([taken[0]?.id, taken[1]?.id, taken[0]?.id]), WAIT);
    for (const options of ["?key=v", "?mark=v"]) {
      const refused = outbox(table, options);
      const refusing = refused.run(intake, stop.signal);
      await vi.waitFor(() => expect(refused.connection().reason).toContain("column `v` of table"), WAIT);
      void refusing;
    }
    stop.abort();
    await Promise.all([running, again]);
    expect(taken).toHaveLength(3);
  });

  test.skipIf(opensslMissing)(
    "over TLS it takes a certificate that it was told to trust, and no other",
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "millrace-pg-tls-"));
      const certificate = selfSigned(directory);
      const encrypted = await startPostgres(certificate);
      const deliver = async (host: string, options: string): Promise<unknown> => {
        const text = `//postgres@${host}:${encrypted.port}/postgres/table/t${options}`;
        const parsed = parsePostgresAddress(text, "sink");
        if ("fault" in parsed) throw new Error(parsed.fault);
        const ca = parsed.options.has("ca") ? readFileSync(certificate.cert, "utf8") : undefined;
        const into = postgresSink(parsed, { id: "g/out", key: [], policy: QUICK, ca }, env);
        await into.open(undefined);
        return into
          .deliver([slice(0, [{ id: 1 }])])
          .catch(reportOf)
          .finally(() => into.close());
      };
      try {
        const failed = (reason: RegExp) =>
          expect.objectContaining({ code: "CONNECTION-FAILED", message: expect.stringMatching(reason) });
        expect(await deliver("localhost", "")).toEqual(failed(/no encryption/));
        expect(await deliver("localhost", "?tls=verify")).toEqual(failed(/self-signed/));
        expect(await deliver("127.0.0.1", "?tls=verify&ca=x")).toEqual(failed(/IP: 127.0.0.1 is not in the cert/));
        // It is in: what is missing is the table.
        const within = expect.objectContaining({ code: "SINK-FAILED", message: expect.stringContaining("no table") });
        expect(await deliver("localhost", "?tls=verify&ca=x")).toEqual(within);
        expect(await deliver("localhost", "?tls=unverified")).toEqual(within);
      } finally {
        await encrypted.stop();
        rmSync(directory, { recursive: true });
      }
    },
    60_000,
  );

  test("a statement that takes longer than a probe is not taken for a broken connection", async () => {
    const table = await made("id bigint primary key, v int");
    const patient = postgresSink(
      address(table, "", "sink"),
      { id: "g/out", key: ["id"], policy: { ...QUICK, probeEveryMs: 20, probeTimeoutMs: 1000 } },
      env,
    );
    await patient.open(undefined);
    await patient.deliver([slice(0, [{ id: 1, v: 1 }])]);
    await db.query(`begin; lock table ${q(table)}`);
    const delivery = patient.deliver([slice(1, [{ id: 2, v: 2 }])]);
    await db.query("select pg_sleep(1.5)");
    await db.query("commit");
    await delivery;
    expect(patient.connection?.()).toMatchObject({ state: "up", connects: 1 });
    await patient.close();
  });
});
