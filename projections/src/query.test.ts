import type { Json, JsonObject } from "@millrace/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PageQuery, readPage } from "./query.ts";
import { MemoryRows } from "./row/memory-rows.ts";
import { Shapes } from "./row/row-codec.ts";
import { RowTable } from "./row/row-table.ts";

const KEY = ["a", "b"];

function stored(rows: readonly JsonObject[]): (query: PageQuery) => ReturnType<typeof readPage> {
  const space = new MemoryRows();
  const shapes = new Shapes();
  const table = new RowTable({ key: KEY }, shapes, space);
  for (const row of rows) table.put(row);
  return (query) => readPage(space, shapes, KEY, query);
}

const rows = [1, 2, 3].flatMap((a) => ["x", "y"].map((b) => ({ a, b, n: a * 10, text: `${a}` })));

describe("a page", () => {
  it("narrows by leading key fields and filters by any", () => {
    const page = stored(rows);
    expect(page({ where: { a: 2 } }).rows.map((r) => r.b)).toEqual(["x", "y"]);
    expect(page({ where: { a: "2", b: "y" } }).rows).toEqual([{ a: 2, b: "y", n: 20, text: "2" }]);
    expect(page({ where: { b: "y" } }).rows.map((r) => r.a)).toEqual([1, 2, 3]);
    expect(page({ where: { text: "3" } }).rows.map((r) => r.b)).toEqual(["x", "y"]);
    expect(page({ where: { n: 11 } }).rows).toEqual([]);
    expect(page({ where: { nothing: "x" } }).rows).toEqual([]);
  });

  it("finds a row by key fields that are longer than a stored key", () => {
    const keys = Array.from({ length: 300 }, (_, i) => ({ a: `${"k".repeat(500 + i)}`, b: `${"k".repeat(i)}` }));
    const page = stored([...keys, { a: "short", b: "l".repeat(600) }, { a: "short", b: "other" }]);
    for (const row of keys) {
      expect(page({ where: row }).rows).toEqual([row]);
      expect(page({ where: { a: row.a } }).rows).toEqual([row]);
    }
    expect(page({ where: { a: "short", b: "l".repeat(600) } }).rows).toHaveLength(1);
    expect(page({ where: { a: "short" } }).rows).toHaveLength(2);
    expect(page({ where: { a: "k".repeat(499) } }).rows).toEqual([]);
  });

  it("ends where enough rows were looked at, and goes on behind them, so that no question holds up everything else", () => {
    const page = stored(Array.from({ length: 20_001 }, (_, a) => ({ a, b: 0, last: a === 20_000 })));
    const first = page({ where: { last: true } });
    expect(first).toEqual({ rows: [], next: expect.any(String) });
    expect(page({ where: { last: true }, cursor: String(first.next) }).rows).toHaveLength(1);
  });

  it("ends where its rows are large enough, and goes on behind them", () => {
    const text = "x".repeat(1024 * 1024);
    const page = stored([1, 2, 3, 4, 5, 6].map((a) => ({ a, b: 0, text })));
    const first = page({ limit: 1000 });
    expect(first.rows.map(({ a }) => a)).toEqual([1, 2, 3, 4]);
    const rest = page({ limit: 1000, cursor: String(first.next) });
    expect([rest.rows.map(({ a }) => a), rest.next]).toEqual([[5, 6], null]);
  });

  it("is narrowed by no field of the key that the question does not name, whatever that is called", () => {
    let ranges = 0;
    const range = (): Iterable<never> => {
      ranges += 1;
      return [];
    };
    readPage({ range }, new Shapes(), ["constructor", "__proto__"], { where: {} });
    expect(ranges).toBe(1);
  });

  it("looks into no more than 64 ranges, however many things the texts of a long key may stand for", () => {
    const key = Array.from({ length: 10 }, (_, i) => `k${i}`);
    let ranges = 0;
    const range = (): Iterable<never> => {
      ranges += 1;
      return [];
    };
    readPage({ range }, new Shapes(), key, { where: Object.fromEntries(key.map((field) => [field, "1"])) });
    expect(ranges).toBe(64);
  });

  it("takes a text for whatever it may stand for", () => {
    const values: Json[] = ["1", 1, true, "true", null, "null", 1.5, "x"];
    const page = stored(values.map((a, i) => ({ a, b: i })));
    const found = (text: string): Json[] => page({ where: { a: text } }).rows.map((r) => r.a as Json);
    expect(found("1")).toEqual([1, "1"]);
    expect(found("true")).toEqual([true, "true"]);
    expect(found("null")).toEqual([null, "null"]);
    expect(found("1.5")).toEqual([1.5]);
    expect(found(" ")).toEqual([]);
  });

  it("refuses limits and cursors that are none", () => {
    const page = stored(rows);
    for (const query of [{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { cursor: "" }, { cursor: "*" }]) {
      expect(() => page(query)).toThrow(expect.objectContaining({ code: "PROJECTION-QUERY" }));
    }
  });

  it("after page leads through every matching row once, in order", () => {
    const value = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom("0", "1", "x"));
    const row = fc.record({ a: value, b: value, c: fc.boolean() });
    const where = fc.record({ a: value, b: value, c: fc.constantFrom("true", "false") }, { requiredKeys: [] });
    fc.assert(
      fc.property(
        fc.uniqueArray(row, { selector: (r) => JSON.stringify([r.a, r.b]), maxLength: 25 }),
        where,
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom("asc" as const, "desc" as const),
        (given, conditions, limit, order) => {
          const page = stored(given);
          const seen: JsonObject[] = [];
          for (let cursor: string | null | undefined; cursor !== null; ) {
            const { rows: found, next } = page({
              where: conditions,
              limit,
              order,
              ...(cursor === undefined ? {} : { cursor }),
            });
            seen.push(...found);
            cursor = next;
          }
          const meant = (v: Json, w: Json): boolean => v === w || (typeof w === "string" && String(v) === w);
          const wanted = given.filter((r) =>
            Object.entries(conditions).every(([field, w]) => meant(r[field as "a"], w as Json)),
          );
          const text = (r: object): string => JSON.stringify(r);
          expect(seen.map(text).sort()).toEqual(wanted.map(text).sort());
          const everything = page({ limit: 1000, order }).rows.map(text);
          expect(seen.map((r) => everything.indexOf(text(r)))).toEqual(
            seen.map((r) => everything.indexOf(text(r))).sort((x, y) => x - y),
          );
        },
      ),
      { numRuns: 500 },
    );
  });
});
