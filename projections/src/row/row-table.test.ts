import { type Column, ColumnBatch, Dictionary, type Json, type JsonObject, RowBatch } from "@millrace/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AFTER_ROWS, abovePrefix, FIRST_ROW, keyFieldBytes, keyOf } from "./key-codec.ts";
import { MemoryRows } from "./memory-rows.ts";
import { readRow, Shapes } from "./row-codec.ts";
import { RowTable } from "./row-table.ts";

const json = fc.jsonValue({ maxDepth: 2 }).map((v) => v as Json);
const scalar: fc.Arbitrary<Json> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true }).map((n) => (n === 0 ? 0 : n)),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("", "\0", "a\0", "a", "a\u00001", "ab", "ÿ", "é"),
);

function tableOf(key: readonly string[], index?: string): { table: RowTable; rows: MemoryRows; shapes: Shapes } {
  const rows = new MemoryRows();
  const shapes = new Shapes();
  return { rows, shapes, table: new RowTable({ key, ...(index === undefined ? {} : { index }) }, shapes, rows) };
}

const all = ({ rows, shapes }: { rows: MemoryRows; shapes: Shapes }): JsonObject[] =>
  Array.from(rows.range(FIRST_ROW, AFTER_ROWS, false), (e) => readRow(e.value, shapes));

describe("keys", () => {
  const rank = (v: Json): number => ["null", "boolean", "number", "string"].indexOf(v === null ? "null" : typeof v);
  const compare = (a: Json, b: Json): number => {
    if (rank(a) !== rank(b)) return rank(a) - rank(b);
    if (typeof a === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
    return a === b ? 0 : (a as number) < (b as number) ? -1 : 1;
  };

  it("sort as their fields do", () => {
    const tuple = fc.tuple(scalar, scalar);
    fc.assert(
      fc.property(tuple, tuple, ([a1, a2], [b1, b2]) => {
        const wanted = compare(a1, b1) || compare(a2, b2);
        expect(Math.sign(Buffer.compare(keyOf([a1, a2]), keyOf([b1, b2])))).toBe(Math.sign(wanted));
      }),
      { numRuns: 2000 },
    );
  });

  it("that begin with given fields lie between their bytes and those above, and no others do", () => {
    fc.assert(
      fc.property(scalar, scalar, scalar, (first, other, second) => {
        const prefix = keyFieldBytes(first);
        const key = keyOf([other, second]);
        const inside = Buffer.compare(key, prefix) >= 0 && Buffer.compare(key, abovePrefix(prefix)) < 0;
        expect(inside).toBe(compare(first, other) === 0);
      }),
      { numRuns: 2000 },
    );
  });

  it("do not tell zero from minus zero, as JSON does not", () => {
    expect(keyOf([-0])).toEqual(keyOf([0]));
  });

  it("longer than a store takes stay distinct", () => {
    const long = "x".repeat(2000);
    const keys = [keyOf([`${long}a`]), keyOf([`${long}b`]), keyOf([long])];
    expect(keys.every((k) => k.length <= 511)).toBe(true);
    expect(new Set(keys.map((k) => Buffer.from(k).toString("hex"))).size).toBe(3);
  });
});

describe("rows", () => {
  it("of more lists of fields than their bytes can number are refused", () => {
    const shapes = new Shapes(Array.from({ length: 65_536 }, (_, i) => [`f${i}`]));
    expect(shapes.numberOf(["f65535"])).toBe(65_535);
    expect(() => shapes.numberOf(["one more"])).toThrow(/65536 different lists of fields/);
  });

  it("come back as they were put", () => {
    fc.assert(
      fc.property(fc.array(fc.dictionary(fc.string(), json, { maxKeys: 5 }), { maxLength: 10 }), (given) => {
        const t = tableOf([]);
        for (const row of given) t.table.put(row as JsonObject);
        expect(all(t).map((r) => JSON.stringify(r))).toEqual(given.map((r) => JSON.stringify(r)));
      }),
    );
  });

  it("are the same whether they came as rows or as columns", () => {
    const strings = new Dictionary();
    const columns = new Map<string, Column>([
      [
        "origin",
        {
          type: "dictionary",
          codes: Uint16Array.of(...["JFK", "ORD", "JFK", "SFO"].map((s) => strings.code(s))),
          dictionary: strings,
          nulls: null,
        },
      ],
      ["hour", { type: "time", values: Float64Array.of(0, 0, 3_600_000, 0), nulls: null }],
      ["delay", { type: "number", values: Float64Array.of(1.5, -2, 3e9, 0), nulls: Uint8Array.of(0, 0, 0, 1) }],
      ["count", { type: "number", values: Int32Array.of(1, 2, 3, 4), nulls: null }],
      ["late", { type: "boolean", values: Uint8Array.of(1, 0, 1, 0), nulls: null }],
      ["extra", { type: "json", values: [{ a: [1] }, "x".repeat(300), null, ""] }],
    ]);
    const batch = new ColumnBatch(columns, Uint32Array.of(0, 2, 1, 3), 4);
    for (const key of [["origin", "hour"], ["delay"], ["missing", "count"], []]) {
      const a = tableOf(key);
      const b = tableOf(key);
      a.table.putBatch(batch);
      b.table.putBatch(new RowBatch(batch.rows()));
      const stored = ({ rows }: { rows: MemoryRows }): string[] =>
        Array.from(rows.range(FIRST_ROW, AFTER_ROWS, false), (e) => Buffer.concat([e.key, e.value]).toString("hex"));
      expect(stored(a)).toEqual(stored(b));
      expect(all(a)).toHaveLength(4);
    }
  });

  it("replace those with the same key, and are found by key and index", () => {
    const t = tableOf(["a", "b"], "id");
    t.table.put({ a: 1, b: "x", id: "i1", n: 1 });
    t.table.put({ a: 1, b: "y", id: "i2", n: 2 });
    t.table.put({ a: 1, b: "x", id: "i1", n: 3, more: true });
    expect(t.table.get(1, "x")).toEqual({ a: 1, b: "x", id: "i1", n: 3, more: true });
    expect(t.table.find("i2")).toEqual({ a: 1, b: "y", id: "i2", n: 2 });
    t.table.delete(1, "y");
    expect([t.table.get(1, "y"), t.table.find("i2")]).toEqual([undefined, undefined]);
    expect(all(t)).toHaveLength(1);
    expect(() => t.table.get(1)).toThrow(/2/);
  });

  it("without key fields are kept in the order of the log", () => {
    const t = tableOf([]);
    t.table.at(300);
    t.table.put({ n: 3 });
    t.table.at(7);
    t.table.putBatch(new RowBatch([{ n: 1 }, 2]));
    expect(all(t)).toEqual([{ n: 1 }, { value: 2 }, { n: 3 }]);
  });

  it("may have a field called __proto__", () => {
    const t = tableOf([]);
    t.table.put(JSON.parse('{"__proto__": {"x": 1}, "y": 2}') as JsonObject);
    expect(JSON.stringify(all(t)[0])).toBe('{"__proto__":{"x":1},"y":2}');
  });
});
