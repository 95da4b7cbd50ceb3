import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Dictionary, decodeNames, encodeNames, NAME_KINDS, type NameSource } from "./dictionary.ts";

const nothing: NameSource = { numberOf: () => undefined, nameOf: () => undefined };

describe("the dictionary", () => {
  it("gives each name of a kind one number, and number 0 the empty name", () => {
    const names = new Dictionary(nothing);
    expect(names.numberOf("tenant", "")).toBe(0);
    expect(names.numberOf("stream", "a")).toBeUndefined();
    const a = names.assign("stream", "a");
    const b = names.assign("stream", "b");
    expect([a.number, b.number, names.numberOf("stream", "a")]).toEqual([1, 2, 1]);
    expect(names.assign("type", "a").number).toBe(16);
    expect(names.nameOf("stream", 2)).toBe("b");
  });

  it("never gives a number that the index knows, and reads what the index knows", () => {
    const names = new Dictionary({
      numberOf: (kind, name) => (kind === "stream" && name === "old" ? 7 : undefined),
      nameOf: (kind, number) => (kind === "stream" && number === 7 ? "old" : undefined),
    });
    names.restoreNextNumbers([9, 20, 1, 1, 1, 1, 1]);
    expect(names.numberOf("stream", "old")).toBe(7);
    expect(names.nameOf("stream", 7)).toBe("old");
    expect(names.assign("stream", "new").number).toBe(9);
  });

  it("keeps what the index may not have, and as much as it may of what it has", () => {
    const index = new Map<string, number>();
    let looks = 0;
    const source: NameSource = {
      numberOf: (_, name) => {
        looks++;
        return index.get(name);
      },
      nameOf: (_, number) => {
        looks++;
        return [...index].find(([, known]) => known === number)?.[0];
      },
    };
    const names = new Dictionary(source, 4);
    const given = Array.from({ length: 100 }, (_, i) => names.assign("stream", `s${i}`));
    const known = () =>
      given.map(({ number, name }) => [names.numberOf("stream", name), names.nameOf("stream", number)]);
    // The index has come to where the log ended before any of them.
    names.indexed(0, 100);
    names.indexed(99, 200);
    expect(known()).toEqual(given.map(({ number, name }) => [number, name]));
    expect(looks).toBe(0);
    for (const { name, number } of given) index.set(name, number);
    names.indexed(100, 200);
    expect(known()).toEqual(given.map(({ number, name }) => [number, name]));
    expect(looks).toBe(200);
    expect(given.slice(98).map(({ name }) => names.numberOf("stream", name))).toEqual([99, 100]);
    expect(looks).toBe(200);
    known();
    expect(looks).toBeGreaterThan(390);
    expect(names.assign("stream", "next").number).toBe(101);
  });

  it("says that the log is damaged when a number has no name", () => {
    expect(() => new Dictionary(nothing).nameOf("graph", 5)).toThrow(expect.objectContaining({ code: "LOG-CORRUPT" }));
  });

  it("writes names and reads them back, and refuses anything else", () => {
    const name = fc.record({
      kind: fc.constantFrom(...NAME_KINDS),
      number: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      name: fc.string({ unit: "grapheme", maxLength: 20 }),
    });
    fc.assert(
      fc.property(fc.array(name, { maxLength: 6 }), (names) => {
        const bytes = encodeNames(names);
        expect(decodeNames(bytes)).toEqual(names);
        if (bytes.length > 0) expect(() => decodeNames(bytes.subarray(0, bytes.length - 1))).toThrow("does not decode");
      }),
    );
  });
});
