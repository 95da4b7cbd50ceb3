/** Random messages for property tests: everything that JSON can say, weighted towards what codecs get wrong. */
import fc from "fast-check";
import type { Json, JsonObject } from "../frame/json.ts";

const NUMBERS = [0, -0, 1, -1, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53 - 1, 1e308];
const STRINGS = ["", "a", "ä", "日本", "👩‍🚀", "\u0000", "\u2028", "constructor", "null", "2026-01-01T00:00:00.000Z"];

export function arbitraryScalar(): fc.Arbitrary<Json> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.boolean() },
    { weight: 2, arbitrary: fc.constantFrom(...NUMBERS) },
    { weight: 2, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
    { weight: 2, arbitrary: fc.constantFrom(...STRINGS) },
    { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 12 }) },
  );
}

const key = fc.oneof(
  fc.constantFrom("a", "b", "1", "", "ü", "length", "constructor", "hasOwnProperty", "toString", "toJSON", "__proto__"),
  fc.string({ unit: "grapheme", maxLength: 6 }),
);

export function arbitraryJson(): fc.Arbitrary<Json> {
  return fc.letrec<{ json: Json }>((tie) => ({
    json: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      arbitraryScalar(),
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(key, tie("json"), { maxKeys: 3, noNullPrototype: true }),
    ),
  })).json;
}

/** Rows of one shape, with cells of one kind per column more often than not: what becomes columns. */
export function arbitraryTable(): fc.Arbitrary<readonly JsonObject[]> {
  const column = fc.oneof(
    fc.constant(fc.constantFrom<Json>("JFK", "ATL", "ü", null)),
    fc.constant(fc.constantFrom<Json>(...NUMBERS, null)),
    fc.constant(fc.boolean() as fc.Arbitrary<Json>),
    fc.constant(arbitraryScalar()),
    fc.constant(arbitraryJson()),
  );
  return fc
    .tuple(fc.uniqueArray(key, { minLength: 1, maxLength: 4 }), fc.array(column, { minLength: 4, maxLength: 4 }))
    .chain(([names, columns]) =>
      fc.array(
        fc
          .tuple(...columns.slice(0, names.length))
          .map((cells) => Object.fromEntries(names.map((name, i) => [name, cells[i] as Json]))),
        { maxLength: 40 },
      ),
    );
}
