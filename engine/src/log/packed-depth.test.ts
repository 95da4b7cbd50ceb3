import fc from "fast-check";
import { expect, it } from "vitest";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { isTooDeep } from "./packed-depth.ts";
import { packState, packStateBehind, unpackState } from "./packed-payload.ts";

const FITS = 500;

function nested(depth: number, wrap: (inner: StateEvent) => StateEvent): StateEvent {
  let value: StateEvent = [1];
  for (let i = 1; i < depth; i++) value = wrap(value);
  return value;
}

const WRAPS: readonly ((inner: StateEvent) => StateEvent)[] = [
  (inner) => [inner],
  (inner) => ({ a: inner }),
  (inner) => ["x".repeat(300), Buffer.alloc(300), inner, 1.5, null, -7, 2 ** 40],
  (inner) => ({ before: Array.from({ length: 20 }, (_, i) => i), inner, after: { text: "é".repeat(20) } }),
  (inner) => Array.from({ length: 17 }, (_, i) => (i === 9 ? inner : [i])),
];

it.each(WRAPS.map((wrap, i) => [i, wrap] as const))("counts what nests values, form %i", (_, wrap) => {
  expect(unpackState(packState(nested(FITS, wrap)))).toEqual(nested(FITS, wrap));
  expect(() => packState(nested(FITS + 1, wrap))).toThrow(expect.objectContaining({ code: "MSG-SIZE" }));
  const lead = new Uint8Array([0x91, 0x91, 0x91]);
  expect(packStateBehind(lead, nested(FITS, wrap)).subarray(0, 3)).toEqual(Buffer.from(lead));
  expect(() => packStateBehind(lead, nested(FITS + 1, wrap))).toThrow(expect.objectContaining({ code: "MSG-SIZE" }));
});

it("steps over long texts and bytes", () => {
  const long = ["x".repeat(70_000), Buffer.alloc(70_000, 0x91), "é".repeat(200), Buffer.alloc(200, 0x91)];
  expect(isTooDeep(packState([...long, nested(FITS - 1, (inner) => [inner])]))).toBe(false);
  expect(() => packState([...long, nested(FITS, (inner) => [inner])])).toThrow("nested too deeply");
});

it("takes no value that is flat for a deep one", () => {
  const row = fc.dictionary(
    fc.string(),
    fc.anything({ withNullPrototype: false, maxDepth: 3, values: [fc.jsonValue(), fc.double()] }),
  );
  fc.assert(
    fc.property(fc.array(row, { minLength: 200, maxLength: 300 }), (rows) => {
      expect(isTooDeep(packState(JSON.parse(JSON.stringify(rows)) as StateEvent))).toBe(false);
    }),
    { numRuns: 20 },
  );
});
