/** Connectors to MariaDB against a real server. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Json,
  type JsonObject,
  parseMysqlAddress,
  reportOf,
  type SinkConnector,
  type SourceBatch,
  type SourceConnector,
  type SqlAddress,
  systemEnv,
} from "@millrace/engine";
import { sourceContract } from "@millrace/engine/testing";
import { mysqlSink, mysqlSource } from "@millrace/streams/mysql";
import mysql, { type Connection, type RowDataPacket } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { opensslMissing, selfSigned } from "../../services/certificate.ts";
import { mariadbMissing, startMariadb } from "../../services/mariadb-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { QUICK, slice, WAIT } from "./running-graph.ts";
import { sqlTables } from "./sql-tables.ts";

const env = systemEnv();
const SKIPPED = mariadbMissing === undefined ? "" : ` (skipped: ${mariadbMissing})`;

describe.skipIf(mariadbMissing)(`MariaDB${SKIPPED}`, () => {
  let server: ServerProcess;
  let wire: TcpProxy;
  let db: Connection;
  let count = 0;
  /** Names that only quoting keeps what they are. */
  const next = (): string => `Táblá \`${++count}\`; "drop'`;
  const q = mysql.escapeId;

  async function connected(): Promise<Connection> {
    const client = await mysql.createConnection({
      host: "127.0.0.1",
      port: server.port,
      user: "root",
      database: "shop",
      multipleStatements: true,
    });
    client.on("error", () => undefined);
    return client;
  }
  const name = (table: string): string => q(table, true);

  beforeAll(async () => {
    server = await startMariadb();
    wire = await TcpProxy.to(server);
    const first = await mysql.createConnection({ host: "127.0.0.1", port: server.port, user: "root" });
    await first.query("create database shop character set utf8mb4");
    await first.end();
    db = await connected();
  }, 60_000);
  afterAll(async () => {
    db?.destroy();
    await wire?.close();
    await server?.stop();
  });

  const breakConnections = (): void => wire.snap();
  const address = (table: string, options = "", side: "source" | "sink" = "source", user = "root"): SqlAddress => {
    const path = `//${user}@${wire.address}/shop/table/${encodeURIComponent(table)}${options}`;
    const parsed = parseMysqlAddress(path, side);
    if ("fault" in parsed) throw new Error(parsed.fault);
    return parsed;
  };
  const source = (table: string, options = ""): SourceConnector =>
    mysqlSource(address(table, `?cursor=id${options}`), env, { policy: QUICK, pollMs: 20 });
  const sink = (table: string, key: readonly string[] = ["id"]): SinkConnector =>
    mysqlSink(address(table, "", "sink"), { id: "g/out", key, policy: QUICK }, env);
  const made = async (columns = "id bigint primary key, name mediumtext, amount double, ok bool"): Promise<string> => {
    const table = next();
    await db.query(`create table ${name(table)} (${columns})`);
    return table;
  };
  const rowsOf = async (table: string, order = "id"): Promise<readonly Json[]> =>
    (await db.query<RowDataPacket[]>(`select * from ${name(table)} order by ${order}`))[0].map((row) => ({ ...row }));
  const insert = async (table: string, rows: readonly JsonObject[]): Promise<void> => {
    const columns = Object.keys(rows[0] ?? {});
    if (columns.length === 0) return;
    const values = rows.map((row) => columns.map((column) => row[column]));
    await db.query(`insert into ${name(table)} (${columns.join(",")}) values ?`, [values]);
  };
  const one = async (statement: string): Promise<number> =>
    Number(((await db.query<RowDataPacket[]>(statement))[0][0] as { n: number }).n);

  for (const ending of ["", "&until=now"]) {
    sourceContract(`a MariaDB table${ending === "" ? "" : " until now"}`, {
      positions: times(6, 20),
      async holding(rows) {
        const table = await made();
        await insert(table, rows);
        // The server has no other truth than numbers.
        const messages = rows.map((row) => ({ ...row, ok: row.ok === true ? 1 : 0 }));
        return { connector: source(table, ending), messages, breakConnections, close: async () => undefined };
      },
      missing: async () => ({ connector: source("none", ending), close: async () => undefined }),
    });
  }

  sqlTables({
    name: "MariaDB",
    codes: "MYSQL",
    server: () => server,
    connected,
    async reconnect() {
      db.destroy();
      db = await connected();
    },
    query: (statement) => db.query(statement),
    one,
    made,
    quoted: name,
    rowsOf,
    source,
    sink,
    breakConnections,
    address: (host) => `mysql://root@${host}/shop`,
    numbered: "bigint primary key auto_increment",
    counter: "bigint auto_increment unique",
    text: "mediumtext",
    arrival: { column: "n bigint primary key auto_increment, ", order: "n" },
    pause: "select sleep(0.003)",
  });

  test("a row that commits after rows with higher numbers is read, also by who polled meanwhile", async () => {
    const table = await made("id bigint primary key auto_increment, v int");
    const late = await connected();
    const reader = await source(table).open("0", -1);
    const add = (client: Connection, v: number): Promise<unknown> =>
      client.query(`insert into ${name(table)} (v) values (?)`, [v]);
    await late.query("xa start 'late'");
    await add(late, 0);
    await add(db, 1);
    expect(await reader.read(10)).toBe("idle");
    // Prepared, it belongs to no session any more.
    await late.query("xa end 'late'; xa prepare 'late'");
    late.destroy();
    await add(db, 2);
    for (let i = 0; i < 3; i++) expect(await reader.read(10)).toBe("idle");
    await vi.waitFor(async () => await db.query("xa commit 'late'"), WAIT);
    await vi.waitFor(async () => {
      const read = (await reader.read(10)) as SourceBatch;
      expect(read.batch.rows()).toEqual([0, 1, 2].map((v) => ({ id: v + 1, v })));
    }, WAIT);
    await reader.close();
  });

  test("a column that is no cursor, a table that counts anew and a user who may not see writers are refused", async () => {
    const refusal = async (connector: SourceConnector, after = -1): Promise<unknown> => {
      const reader = await connector.open("0", after);
      return reader
        .read(1)
        .catch(reportOf)
        .finally(() => reader.close());
    };
    const cursor = async (columns: string, rows: readonly JsonObject[] = []): Promise<unknown> => {
      const table = await made(columns);
      await insert(table, rows);
      return refusal(source(table));
    };
    const refused = (reason: string) =>
      expect.objectContaining({ code: "MYSQL-CURSOR", kind: "terminal", message: expect.stringContaining(reason) });
    expect(await cursor("x int")).toEqual(refused("is no column"));
    expect(await cursor("id varchar(9) primary key")).toEqual(refused("is of type varchar"));
    expect(await cursor("id int not null")).toEqual(refused("the same value twice"));
    expect(await cursor("id int not null, x int, unique (id, x)")).toEqual(refused("the same value twice"));
    expect(await cursor("id int unique")).toEqual(refused("may hold nothing"));
    expect(await cursor("id int primary key", [{ id: -1 }])).toEqual(refused("negative"));
    expect(await cursor("id bigint primary key, v text", [{ id: 2 ** 60 }])).toEqual(refused("above 2^53 - 1"));
    const table = await made("id int primary key auto_increment, v int");
    await insert(table, [{ v: 1 }, { v: 2 }]);
    expect(await refusal(source(table), 2)).toBe("idle");
    await db.query(`truncate ${name(table)}`);
    expect(await refusal(source(table), 2)).toEqual(refused("was read up to 2, and counts on from 1"));
    await db.query(`create user narrow; grant select on shop.* to narrow;
      insert into ${name(table)} values (1, 1), (3, 1)`);
    const narrow = mysqlSource(address(table, "?cursor=id", "source", "narrow"), env, { policy: QUICK, pollMs: 20 });
    expect(await refusal(narrow)).toMatchObject({ code: "MYSQL-PRIVILEGE", kind: "terminal" });
  });

  test("values of each type come out as they went in", async () => {
    const table =
      await made(`id int primary key, n decimal(9,3), t text, at datetime(6), ts timestamp(3) null, day date,
      doc json, raw varbinary(9), bits bit(12), kind enum('a','b')`);
    const row = {
      id: 1,
      n: 12.5,
      t: "a'b\\\"c\u0000 🚲",
      at: "2026-01-02T03:04:05.123456",
      ts: "2026-01-02T03:04:05.123Z",
      day: "2026-01-02",
      doc: { x: [1, "y"], z: null },
      raw: "AAH/",
      bits: 2049,
      kind: "b",
    };
    const into = sink(table);
    await into.open(undefined);
    await into.deliver([slice(0, [row, { id: 2, at: "2026-01-02T03:04:05.5+02:00" }])]);
    await into.close();
    const reader = await source(table, "&until=now").open("0", -1);
    const read = (await reader.read(5)) as SourceBatch;
    expect(read.batch.rows()).toEqual([
      row,
      expect.objectContaining({ id: 2, at: "2026-01-02T01:04:05.500000", t: null }),
    ]);
    await reader.close();
  });

  test("a row replaces what it names of the row with its key, and what does not fit is refused as the row's fault", async () => {
    const table = await made(
      "id bigint primary key, name varchar(9) unique check (name <> 'no'), at datetime, must int not null default 1, twice bigint as (id * 2) invisible",
    );
    const into = sink(table);
    await into.open(undefined);
    await into.deliver([
      slice(0, [
        { id: 1, name: "a", must: 5 },
        { id: 1, name: "b" },
        { id: 2, at: "2026-01-02T03:04:05+02:00" },
        { id: 1, name: "c" },
      ]),
    ]);
    const expected = [
      { id: 1, name: "c", at: null, must: 5 },
      { id: 2, name: null, at: new Date("2026-01-02T01:04:05Z"), must: 1 },
    ];
    await db.query("set time_zone = '+00:00'");
    expect((await rowsOf(table)).map((row) => ({ ...(row as JsonObject), at: undefined }))).toEqual(
      expected.map((row) => ({ ...row, at: undefined })),
    );
    expect(await one(`select at = '2026-01-02 01:04:05' as n from ${name(table)} where id = 2`)).toBe(1);
    const refusal = (row: Json): Promise<unknown> => into.deliver([slice(4, [row])]).catch(reportOf);
    const refused = (reason: string) =>
      expect.objectContaining({ code: "MYSQL-ROW", kind: "rejected", message: expect.stringContaining(reason) });
    expect(await refusal({ id: 3, name: "no" })).toEqual(refused("CONSTRAINT"));
    expect(await refusal({ id: 3, name: "much too long" })).toEqual(refused("Data too long"));
    expect(await refusal({ id: 3, at: "soon" })).toEqual(refused("Incorrect datetime"));
    expect(await refusal({ id: 3, must: null })).toEqual(refused("cannot be null"));
    expect(await refusal({ id: 3, name: "c" })).toEqual(refused("a unique index that is not the key"));
    expect(await refusal({ id: 3, twice: 6 })).toEqual(refused("generated column"));
    expect(await refusal({ id: 3, nam: "x" })).toEqual(refused("`nam`, which is no column"));
    expect(await refusal({ name: "x" })).toEqual(refused("no value for `id`"));
    expect(await refusal({})).toEqual(refused("names no column"));
    expect(await refusal(3)).toEqual(refused("is no object"));
    expect(await rowsOf(table)).toHaveLength(2);
    await into.deliver([slice(4, [{ id: 3 }])]);
    expect(await rowsOf(table)).toHaveLength(3);
    await into.close();
  });

  test("a table without the key's index, or without transactions, is refused", async () => {
    const refusal = async (columns: string, engine = "InnoDB"): Promise<unknown> => {
      const table = await made(columns);
      await db.query(`alter table ${name(table)} engine = ${engine}`);
      const into = sink(table);
      await into.open(undefined);
      return into
        .deliver([slice(0, [{ id: 1 }])])
        .catch(reportOf)
        .finally(() => into.close());
    };
    expect(await refusal("id bigint")).toMatchObject({ code: "MYSQL-KEY", kind: "terminal" });
    expect(await refusal("id varchar(9), unique (id(3))")).toMatchObject({ code: "MYSQL-KEY" });
    expect(await refusal("id bigint primary key", "MyISAM")).toMatchObject({ code: "MYSQL-ENGINE", kind: "terminal" });
  });

  test("lanes with names that are longer than the server's names are told apart, and are no row's fault", async () => {
    const table = await made();
    const of = (lane: string, from: number, rows: readonly Json[]) => ({ ...slice(from, rows), lane });
    const [one, other] = ["a", "b"].map((end) => `${"x".repeat(300)}${end}`) as [string, string];
    const first = sink(table);
    await first.open(undefined);
    const committed = await first.deliver([of(one, 0, [{ id: 1 }, { id: 2 }]), of(other, 0, [{ id: 3 }])]);
    expect(committed).toEqual({ [one]: "1/0", [other]: "0/0" });
    await first.close();
    const second = sink(table);
    await second.open(committed);
    expect(await second.deliver([of(one, 1, [{ id: 4 }, { id: 5 }])])).toEqual({ [one]: "2/0", [other]: "0/0" });
    await second.close();
    expect((await rowsOf(table)).map((row) => (row as JsonObject).id)).toEqual([1, 2, 3, 5]);
    const behind = sink(table);
    await behind.open({ [one]: "7/0" });
    expect(await behind.deliver([of(one, 8, [{ id: 6 }])]).catch(reportOf)).toMatchObject({ code: "MYSQL-BEHIND" });
    await behind.close();
  });

  test("steps are cut into statements that the server takes", async () => {
    const table = await made("id bigint primary key, v longtext");
    const into = sink(table);
    await into.open(undefined);
    await into.deliver([
      slice(
        0,
        [1, 2, 3, 4].map((id) => ({ id, v: "x".repeat(6 << 20) })),
      ),
    ]);
    expect(await one(`select sum(length(v)) as n from ${name(table)}`)).toBe(24 << 20);
    await into.close();
  });

  test.skipIf(opensslMissing)(
    "over TLS it takes a certificate that it was told to trust, for the server's name, and no other",
    async () => {
      const failed = (reason: RegExp) =>
        expect.objectContaining({ code: "CONNECTION-FAILED", message: expect.stringMatching(reason) });
      // It is in: what is missing is the table.
      const within = expect.objectContaining({ code: "SINK-FAILED", message: expect.stringContaining("no table") });
      for (const [host, expected] of [
        [
          "localhost",
          { "": failed(/Access denied/), "?tls=verify": failed(/self-signed/), "?tls=verify&ca=x": within },
        ],
        ["elsewhere", { "?tls=verify&ca=x": failed(/does not match/), "?tls=unverified": within }],
      ] as const) {
        const directory = mkdtempSync(join(tmpdir(), "millrace-mysql-tls-"));
        const certificate = selfSigned(directory, host);
        const encrypted = await startMariadb(certificate);
        try {
          for (const [options, outcome] of Object.entries(expected))
            expect(await overTls(encrypted, options, readFileSync(certificate.cert, "utf8"))).toEqual(outcome);
        } finally {
          await encrypted.stop();
          rmSync(directory, { recursive: true });
        }
      }
    },
    60_000,
  );

  test("a statement that takes longer than a probe is not taken for a broken connection", async () => {
    const table = await made("id bigint primary key, v int");
    const patient = mysqlSink(
      address(table, "", "sink"),
      { id: "g/out", key: ["id"], policy: { ...QUICK, probeEveryMs: 20, probeTimeoutMs: 1000 } },
      env,
    );
    await patient.open(undefined);
    await patient.deliver([slice(0, [{ id: 1, v: 1 }])]);
    await db.query(`lock tables ${name(table)} write`);
    const delivery = patient.deliver([slice(1, [{ id: 2, v: 2 }])]);
    await db.query("select sleep(1.5)");
    await db.query("unlock tables");
    await delivery;
    expect(patient.connection?.()).toMatchObject({ state: "up", connects: 1 });
    await patient.close();
  });
});

/** What comes of a delivery to a table that is not there. */
async function overTls(server: ServerProcess, options: string, certificate: string): Promise<unknown> {
  const parsed = parseMysqlAddress(`//root@localhost:${server.port}/mysql/table/t${options}`, "sink");
  if ("fault" in parsed) throw new Error(parsed.fault);
  const ca = parsed.options.has("ca") ? certificate : undefined;
  const into = mysqlSink(parsed, { id: "g/out", key: [], policy: QUICK, ca }, env);
  await into.open(undefined);
  return into
    .deliver([slice(0, [{ id: 1 }])])
    .catch(reportOf)
    .finally(() => into.close());
}
