/** Rows and cursors are written by one transaction (R27), whatever the database: shown by one that dies at any of its statements. */
import { type InputSlice, type Json, type JsonObject, type Point, Positions, RowBatch } from "@millrace/engine";
import { expect, test } from "vitest";
import { type SinkDialect, tableSink } from "./table-sink.ts";

interface State {
  readonly rows: readonly Json[];
  readonly cursors: ReadonlyMap<string, Point>;
}

/** Keeps what was committed; one that died keeps nothing else. */
class Database {
  committed: State = { rows: [], cursors: new Map() };
  now: State = this.committed;
  /** Statements until it dies. */
  left = Number.POSITIVE_INFINITY;

  run<T>(work: () => T): T {
    if (this.left-- <= 0) throw new Error("the database died");
    return work();
  }

  transaction(statement: "begin" | "commit" | "rollback"): void {
    this.run(() => {
      if (statement === "commit") this.committed = this.now;
      else this.now = this.committed;
    });
  }

  revive(): void {
    this.left = Number.POSITIVE_INFINITY;
    this.now = this.committed;
  }
}

const DIALECT: SinkDialect<Database> = {
  error: (_, message) => new Error(message),
  shape: async () => ({
    identity: undefined,
    columns: new Map([["id", { type: "int", isNullable: false, isUnique: true }]]),
  }),
  transaction: async (database, statement) => database.transaction(statement),
  cursors: () => ({
    create: async () => undefined,
    read: async (database) => new Map(database.now.cursors),
    lock: async (database, lanes) =>
      database.run(() => new Map(lanes.map((lane) => [lane, database.now.cursors.get(lane) ?? { pos: -1, ord: 0 }]))),
    move: async (database, cursors) =>
      database.run(() => {
        database.now = { ...database.now, cursors: new Map([...database.now.cursors, ...cursors]) };
      }),
  }),
  write: async (database, _options, _shape, { rows }) =>
    database.run(() => {
      database.now = { ...database.now, rows: [...database.now.rows, ...rows] };
    }),
  failure: (cause) => cause,
};

const TABLE = { schema: "s", table: "t", key: [], id: "g/out" };

const numbered = (from: number, n: number): JsonObject[] => Array.from({ length: n }, (_, i) => ({ id: from + i }));

const slice = (lane: string, from: number, n: number): InputSlice => ({
  lane,
  input: 0,
  batch: new RowBatch(numbered(from, n)),
  positions: Positions.dense(from, n),
  late: [],
});

test("a database that dies at any statement of a delivery has each row once when it is delivered again, cut otherwise", async () => {
  const statements = ["begin", "lock", "write", "move", "commit"].length;
  for (let left = 0; left <= statements; left++) {
    const database = new Database();
    const dead = tableSink(TABLE, DIALECT);
    await dead.open(database, undefined);
    const committed = await dead.deliver(database, [slice("a", 0, 2)]);
    database.left = left;
    const delivery = dead.deliver(database, [slice("a", 2, 3)]);
    if (left < statements) await expect(delivery).rejects.toThrow("died");
    else await delivery;
    database.revive();
    const next = tableSink(TABLE, DIALECT);
    await next.open(database, committed);
    await next.deliver(database, [slice("a", 2, 1)]);
    await next.deliver(database, [slice("a", 3, 4)]);
    expect(database.committed.rows).toEqual(numbered(0, 7));
  }
});
