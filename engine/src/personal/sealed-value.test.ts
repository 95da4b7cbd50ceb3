import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json } from "../frame/json.ts";
import { isSealed, openValue, revealValues, type SubjectKey, sealValue } from "./sealed-value.ts";

const keyOf = (id: string): SubjectKey => ({ id, bytes: randomBytes(64) });
const ann = keyOf("a".repeat(32));
const bob = keyOf("b".repeat(32));
const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);

describe("a sealed value", () => {
  it("opens to what was sealed, under its key only, and shows nothing of it", () => {
    fc.assert(
      fc.property(json, fc.string(), (value, place) => {
        const sealed = sealValue(ann, value, "g/n.f", place);
        expect(openValue(ann, sealed)).toEqual(value);
        expect(openValue({ ...bob, id: ann.id }, sealed)).toBeUndefined();
        expect(revealValues({ deep: [sealed] }, () => "erased")).toEqual({ deep: [{ $erased: ann.id }] });
        expect(revealValues({ deep: [sealed] }, () => undefined)).toEqual({ deep: [{ $unreadable: ann.id }] });
      }),
    );
  });

  it("is refused when a bit, its key or its origin is another", () => {
    const sealed = sealValue(ann, "secret", "g/n.f", "1");
    const bytes = Buffer.from(sealed.$sealed, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(openValue(ann, { ...sealed, $sealed: changed.toString("base64url") })).toBeUndefined();
    }
    expect(openValue(ann, { ...sealed, from: "g/n.other" })).toBeUndefined();
    expect(openValue(ann, { ...sealed, key: bob.id })).toBeUndefined();
    expect(openValue(ann, { ...sealed, $sealed: "" })).toBeUndefined();
  });

  it("has the same bytes when the same message is read again, and another nonce in every other case", () => {
    const nonceOf = (value: Json, from: string, place: string): string =>
      sealValue(ann, value, from, place).$sealed.slice(0, 16);
    const cases: readonly (readonly [string, string, string])[] = [
      ["a", "g/n.f", "1"],
      ["b", "g/n.f", "1"],
      ["a", "g/n.h", "1"],
      ["a", "g/n.f", "2"],
    ];
    expect(new Set(cases.map((one) => nonceOf(...one))).size).toBe(cases.length);
    expect(sealValue(ann, "a", "g/n.f", "1")).toEqual(sealValue(ann, "a", "g/n.f", "1"));
  });

  it("is told from other objects", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(revealValues(value, () => ann)).toBe(value);
      }),
    );
    expect(isSealed({ $sealed: "x" })).toBe(false);
  });
});
