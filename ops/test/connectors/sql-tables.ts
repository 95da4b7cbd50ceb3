/** What connectors to tables promise whatever the database: tests that each database's own file calls. */
import {
  type Json,
  type JsonObject,
  reportOf,
  type SinkConnector,
  type SourceBatch,
  type SourceConnector,
} from "@millrace/engine";
import { sinkContract } from "@millrace/engine/testing";
import { expect, test, vi } from "vitest";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { RunningGraph, slice, WAIT } from "./running-graph.ts";

/** A database and the connectors to it, whether or not it has a server. */
export interface SqlFile {
  /** As people call it, and the first part of its error codes. */
  readonly name: string;
  readonly codes: string;
  /** A session of its own. */
  connected(): Promise<{ query(statement: string): Promise<unknown>; end(): Promise<void> }>;
  query(statement: string): Promise<unknown>;
  /** The number `n` of the only row. */
  one(statement: string): Promise<number>;
  /** Makes a table with these columns under a name that only quoting keeps what it is. */
  made(columns: string): Promise<string>;
  quoted(table: string): string;
  rowsOf(table: string, order?: string): Promise<readonly Json[]>;
  source(table: string): SourceConnector;
  /** Default key: id. */
  sink(table: string, key?: readonly string[]): SinkConnector;
  /** Breaks the connections of its sources and sinks. Absent: there is nothing that could be broken. */
  breakConnections?(): void;
  /** Types of columns that the database numbers itself: as the primary key, and otherwise. */
  readonly numbered: string;
  readonly counter: string;
  /** Type of a column for texts of any length. */
  readonly text: string;
  /** Waits for 3 ms. */
  readonly pause: string;
}

/** A database with a server. */
export interface SqlTables extends SqlFile {
  server(): ServerProcess;
  /** After the server was away: the session that `query` uses is a new one. */
  reconnect(): Promise<void>;
  /** What the address of a table has before `/table/`. */
  address(host: string): string;
  /** A column to order by, of a table in which it stands. */
  readonly arrival: { readonly column: string; readonly order: string };
}

export function sqlFile(db: SqlFile): void {
  for (const key of [["id"], []]) {
    sinkContract(
      `a ${db.name} table ${key.length === 0 ? "without" : "with"} a key`,
      async () => {
        const table = await db.made(`id bigint not null, name ${db.text}, amount double precision, n ${db.counter}`);
        if (key.length > 0)
          await db.query(`create unique index ${db.quoted(`${table} by id`)} on ${db.quoted(table)} (id)`);
        return {
          connect: () => db.sink(table, key),
          async content() {
            const rows = await db.rowsOf(table, "n");
            return rows.map((row) => ({ ...(row as JsonObject), n: undefined })) as unknown as Json[];
          },
          ...(db.breakConnections === undefined ? {} : { breakConnections: () => db.breakConnections?.() }),
          close: async () => undefined,
        };
      },
      { runs: times(5, 15) },
    );
  }

  test("many writers at once, some of which roll back, lose nothing for who polls meanwhile", async () => {
    const table = await db.made(`id ${db.numbered}, writer int, n int`);
    const writers = await Promise.all([1, 2, 3, 4].map(() => db.connected()));
    const [total, committed] = [100, new Set<string>()];
    const writing = writers.map(async (client, writer) => {
      for (let n = 0; n < total; n++) {
        await client.query("begin");
        await client.query(`insert into ${db.quoted(table)} (writer, n) values (${writer}, ${n})`);
        if (n % 3 === writer % 3) await client.query(db.pause);
        await client.query(n % 7 === 0 ? "rollback" : "commit");
        if (n % 7 !== 0) committed.add(`${writer}/${n}`);
      }
      await client.end();
    });
    const reader = await db.source(table).open("0", -1);
    const seen: string[] = [];
    const done = Promise.all(writing).then(() => true);
    for (let isDone = false; !isDone || seen.length < committed.size; ) {
      const read = await reader.read(7);
      if (read === "idle") isDone = await Promise.race([done, Promise.resolve(isDone)]);
      else seen.push(...(read as SourceBatch).batch.rows().map(writerAndNumber));
    }
    await reader.close();
    expect(new Set(seen)).toEqual(committed);
    expect(seen.length).toBe(committed.size);
  });

  test("a late write of a dead incarnation changes nothing, and a database that lost what was committed is refused", async () => {
    const table = await db.made("id bigint primary key, v int");
    const [dead, alive] = [db.sink(table), db.sink(table)];
    await dead.open(undefined);
    await alive.open(undefined);
    const committed = await alive.deliver([slice(0, [{ id: 1, v: 1 }]), slice(1, [{ id: 1, v: 2 }])]);
    await dead.deliver([slice(0, [{ id: 1, v: 1 }])]);
    expect(await db.rowsOf(table)).toEqual([{ id: 1, v: 2 }]);
    // Of the other tables' sinks none is at work any more.
    await db.query("delete from millrace_cursors");
    await alive.open(committed);
    expect(await alive.deliver([slice(2, [{ id: 2 }])]).catch(reportOf)).toMatchObject({
      code: `${db.codes}-BEHIND`,
      kind: "terminal",
    });
    await dead.close();
    await alive.close();
  });
}

export function sqlTables(db: SqlTables): void {
  sqlFile(db);

  test("between two tables nothing is lost and nothing is there twice while the server is killed and the link is cut", async () => {
    const [from, to] = ["moved_from", "moved_to"];
    await db.query(`create table ${from} (id ${db.numbered}, v int)`);
    await db.query(`create table ${to} (${db.arrival.column}id bigint, v int)`);
    const server = db.server();
    const proxy = await TcpProxy.to(server);
    const graph = await RunningGraph.start(`name: copy
nodes:
  in: { kind: source, from: "${db.address(proxy.address)}/table/${from}?cursor=id", batch: 10 }
  out: { kind: sink, input: in, to: "${db.address(proxy.address)}/table/${to}" }
`);
    const [total, rounds] = [5400, 18];
    const each = total / rounds;
    const arrived = (): Promise<number> => db.one(`select count(*) as n from ${to}`);
    const distinct = (): Promise<number> => db.one(`select count(distinct v) as n from ${to}`);
    let [kills, cuts] = [0, 0];
    try {
      for (let round = 0; round < rounds; round++) {
        const values = Array.from({ length: each }, (_, i) => `(${round * each + i})`);
        await db.query(`insert into ${from} (v) values ${values.join(",")}`);
        // In the middle of what was just added; half of the cuts leave open whether a commit took place.
        await vi.waitFor(async () => expect(await arrived()).toBeGreaterThan((round + 0.2) * each), WAIT);
        if (round % 6 === 5) {
          await server.kill();
          kills++;
          await server.start();
          await db.reconnect();
        } else {
          if (round % 2 === 1) proxy.cut();
          else proxy.cutAnswerTo("commit");
          cuts++;
          proxy.mend();
        }
      }
      await vi.waitFor(async () => expect(await distinct()).toBe(total), WAIT);
      const [seen, n] = [await distinct(), await arrived()];
      console.log(
        `${db.name} ${server.greeting}: ${total} rows, ${kills} kills -9, ${cuts} cuts: ${total - seen} lost, ${n - seen} twice`,
      );
      expect([seen, n]).toEqual([total, total]);
      const rows = await db.rowsOf(to, db.arrival.order);
      expect(rows).toEqual(Array.from({ length: total }, (_, v) => expect.objectContaining({ v })));
    } finally {
      await graph.stop();
      await proxy.close();
    }
  }, 60_000);
}

function writerAndNumber(row: Json): string {
  const { writer, n } = row as { readonly writer: number; readonly n: number };
  return `${writer}/${n}`;
}
