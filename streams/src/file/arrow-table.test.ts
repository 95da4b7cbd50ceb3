import { type Column, ColumnBatch, Dictionary, type Json } from "@millrace/engine";
import { type Field, type Table, tableFromIPC, tableToIPC } from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arrowTable } from "./arrow-table.ts";

const LENGTH = 20;
const TEXTS = ["", "a", "ä", "日本", "👩‍🚀", "\ud83d", "\udc69", "null", '"'];

const cellsOf = <T>(cell: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(cell, { minLength: LENGTH, maxLength: LENGTH });
const nulls = fc.option(cellsOf(fc.constantFrom(0, 1)).map((bytes) => Uint8Array.from(bytes)));
const numbers = cellsOf(fc.oneof(fc.constantFrom(0, -0, 2 ** 53), fc.double({ noNaN: true, noDefaultInfinity: true })));
const scalar = fc.oneof(fc.constantFrom(...TEXTS), fc.boolean(), fc.constant(null), fc.integer());

const column: fc.Arbitrary<Column> = fc.oneof(
  fc.record({ type: fc.constant("number" as const), values: numbers.map((cells) => Float64Array.from(cells)), nulls }),
  fc.record({
    type: fc.constant("number" as const),
    values: cellsOf(fc.integer()).map((cells) => Int32Array.from(cells)),
    nulls,
  }),
  fc.record({
    type: fc.constant("time" as const),
    values: cellsOf(fc.oneof(fc.integer(), fc.constantFrom(1e300, Number.NaN, 0.75))).map((cells) =>
      Float64Array.from(cells),
    ),
    nulls,
  }),
  fc.record({
    type: fc.constant("boolean" as const),
    values: cellsOf(fc.constantFrom(0, 1)).map((cells) => Uint8Array.from(cells)),
    nulls,
  }),
  fc
    .tuple(fc.oneof(cellsOf(fc.constantFrom(...TEXTS)), cellsOf(scalar)), fc.boolean(), nulls)
    .map(([cells, narrow, absent]) => {
      const dictionary = new Dictionary();
      const codes = cells.map((cell) => dictionary.code(cell));
      return {
        type: "dictionary" as const,
        codes: (narrow ? Uint16Array : Uint32Array).from(codes),
        dictionary,
        nulls: absent,
      };
    }),
  fc
    .oneof(cellsOf(fc.constantFrom(...TEXTS)), cellsOf(fc.jsonValue() as fc.Arbitrary<Json>))
    .map((values) => ({ type: "json" as const, values })),
);

/** Half a pair has no UTF-8. */
const asUtf8 = (value: Json): Json => (typeof value === "string" ? Buffer.from(value).toString() : value);

/** Rows as a message has them. */
function rowsOf(table: Table): readonly Json[] {
  const read = (field: Field, value: unknown): Json => {
    if (value === null) return null;
    if (field.metadata.get("format") === "json") return asUtf8(JSON.parse(String(value)) as Json);
    return (String(field.type).startsWith("Timestamp") ? new Date(Number(value)).toISOString() : value) as Json;
  };
  return Array.from({ length: table.numRows }, (_, i) =>
    Object.fromEntries(
      table.schema.fields.map((field) => [field.name, read(field, table.getChild(field.name)?.get(i))]),
    ),
  );
}

describe("an Arrow table of a frame", () => {
  it("has the frame's rows, of any columns, all or some of them, and still behind IPC", async () => {
    const selection = fc.option(fc.uniqueArray(fc.nat(LENGTH - 1)).map((indices) => Uint32Array.from(indices)));
    await fc.assert(
      fc.asyncProperty(fc.array(column, { minLength: 1, maxLength: 3 }), selection, async (columns, selected) => {
        const named = new Map(columns.map((one, i) => [`c${i}`, one]));
        const batch = new ColumnBatch(named, selected, selected?.length ?? LENGTH);
        const rows = batch
          .rows()
          .map((row) => Object.fromEntries(Object.entries(row as object).map(([k, v]) => [k, asUtf8(v)])));
        const table = await arrowTable(batch);
        expect(rowsOf(table)).toEqual(rows);
        expect(rowsOf(tableFromIPC(tableToIPC(table)))).toEqual(rows);
      }),
      { numRuns: 300 },
    );
  });

  it("copies neither numbers nor codes, and writes the texts of a dictionary once until it grows", async () => {
    const dictionary = new Dictionary();
    const codes = Uint32Array.of(dictionary.code("JFK"), dictionary.code("ATL"), 0);
    const [delay, gate] = [Float64Array.of(1.5, 2, 3), Int32Array.of(7, 8, 9)];
    const frame = (): ColumnBatch =>
      new ColumnBatch(
        new Map<string, Column>([
          ["delay", { type: "number", values: delay, nulls: Uint8Array.of(0, 1, 0) }],
          ["gate", { type: "number", values: gate, nulls: null }],
          ["origin", { type: "dictionary", codes, dictionary, nulls: null }],
        ]),
        null,
        3,
      );
    const table = await arrowTable(frame());
    const valuesOf = (name: string): ArrayBufferLike => table.getChild(name)?.data[0]?.values.buffer;
    expect([valuesOf("delay"), valuesOf("gate"), valuesOf("origin")]).toEqual([
      delay.buffer,
      gate.buffer,
      codes.buffer,
    ]);
    for (const [name, own] of [
      ["delay", delay],
      ["gate", gate],
      ["origin", codes],
    ] as const)
      expect(valuesOf(name)).toBe(own.buffer);
    const entries = async () => (await arrowTable(frame())).getChild("origin")?.data[0]?.dictionary?.data[0];
    const [first, again] = [await entries(), await entries()];
    expect(again).toBe(first);
    dictionary.code("LHR");
    expect((await entries())?.length).toBe(3);
  });
});
