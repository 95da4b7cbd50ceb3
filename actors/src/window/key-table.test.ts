import { type Column, Dictionary, type Json } from "@millrace/engine";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyTable } from "./key-table.ts";

const VALUES: readonly Json[] = [
  ...["", "a", "1", "null", "é", "é", "\ud800", "x".repeat(3000)],
  ...[0, -0, 1, 2.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY],
  ...[null, true, false, [], {}, [1], { x: 1, y: { a: 1, b: 2 } }, { y: { b: 2, a: 1 }, x: 1 }],
];
const valueArb = fc.constantFrom(...VALUES);

/** What tells keys apart: JSON text, but for the order of fields. */
function naive(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(naive).join()}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}:${naive(field as Json)}`);
  return `{${fields.sort().join()}}`;
}

/** A column of one of the kinds that fit; with `shape` 0 plain JSON. */
function columnOf(values: readonly Json[], shape: number, dictionary: Dictionary): Column {
  const nulls = values.includes(null) ? Uint8Array.from(values, (v) => (v === null ? 1 : 0)) : null;
  if (shape === 1 && values.every((v) => v === null || typeof v === "number"))
    return { type: "number", values: Float64Array.from(values, (v) => Number(v ?? 7)), nulls };
  if (shape === 2)
    return { type: "dictionary", codes: Uint32Array.from(values, (v) => dictionary.code(v)), dictionary, nulls };
  if (shape === 3)
    return { type: "dictionary", codes: Uint32Array.from(values, (v) => dictionary.code(v)), dictionary, nulls: null };
  return { type: "json", values };
}

test("keys have one number each, by rows or by columns of any kind, from frame to frame", () => {
  let keys = 0;
  const framesArb = fc.integer({ min: 1, max: 4 }).chain((fields) =>
    fc.record({
      fields: fc.constant(fields),
      shapes: fc.array(fc.nat(3), { minLength: fields, maxLength: fields }),
      frames: fc.array(fc.array(fc.array(valueArb, { minLength: fields, maxLength: fields }), { maxLength: 12 }), {
        maxLength: 4,
      }),
    }),
  );
  fc.assert(
    fc.property(framesArb, ({ fields, shapes, frames }) => {
      const table = new KeyTable(fields);
      const dictionaries = shapes.map(() => new Dictionary());
      const numbers = new Map<string, number>();
      const texts = new Map<number, string>();
      for (const rows of frames) {
        const columns = shapes.map((shape, f) =>
          columnOf(
            rows.map((row) => row[f] as Json),
            shape,
            dictionaries[f] as Dictionary,
          ),
        );
        const at = Uint32Array.from(rows.keys()).filter((i) => i % 3 !== 1);
        for (const [indices, n] of [
          [at, at.length],
          [null, rows.length],
        ] as const) {
          const ids = table.ids(columns, indices, n);
          for (let i = 0; i < n; i++) {
            const row = rows[indices === null ? i : (indices[i] as number)] as readonly Json[];
            const text = naive(row);
            const id = ids[i] as number;
            expect([numbers.get(text) ?? id, texts.get(id) ?? text]).toEqual([id, text]);
            numbers.set(text, id);
            texts.set(id, text);
            expect([table.id(row), naive(table.key(id))]).toEqual([id, text]);
            if (row.length > 1) expect(table.bytesMax).toBeGreaterThanOrEqual(3 * text.length);
          }
        }
      }
      expect(table.size).toBe(numbers.size);
      keys += numbers.size;
    }),
    { numRuns: 400 },
  );
  expect(keys).toBeGreaterThan(400);
});
