import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SortedMap } from "./sorted-map.ts";

const key = fc.string({ maxLength: 3, unit: fc.constantFrom("a", "b", "\0", "ÿ") });
const change = fc.record({ key, value: fc.option(fc.nat(), { nil: undefined }) });

function apply(
  map: SortedMap<number>,
  model: Map<string, number>,
  { key, value }: { key: string; value: number | undefined },
): void {
  if (value === undefined) {
    expect(map.delete(key)).toBe(model.get(key));
    model.delete(key);
  } else {
    map.set(key, value);
    model.set(key, value);
  }
}

describe("a sorted map", () => {
  it("agrees with a map that is sorted when it is read", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 100 }), key, fc.option(key, { nil: undefined }), (changes, gte, lt) => {
        const map = new SortedMap<number>();
        const model = new Map<string, number>();
        for (const c of changes) apply(map, model, c);
        const wanted = [...model]
          .filter(([k]) => k >= gte && (lt === undefined || k < lt))
          .sort(([a], [b]) => (a < b ? -1 : 1));
        expect([...map.ascending(gte, lt)]).toEqual(wanted);
        expect([...map.descending(gte, lt)]).toEqual(wanted.reverse());
        expect(map.size).toBe(model.size);
        expect(map.get(gte)).toBe(model.get(gte));
      }),
    );
  });

  it("holds many entries in short runs", () => {
    const map = new SortedMap<number>();
    const name = (i: number): string => String((i * 7919) % 10_007).padStart(5, "0");
    for (let i = 0; i < 10_007; i++) map.set(name(i), i);
    expect(Array.from(map.ascending("", undefined), ([k]) => k)).toEqual(
      Array.from({ length: 10_007 }, (_, i) => String(i).padStart(5, "0")),
    );
    for (let i = 0; i < 10_007; i++) expect(map.delete(name(i))).toBe(i);
    expect([map.size, ...map.ascending("", undefined)]).toEqual([0]);
  });

  it("goes on from the last key when it changes under an iteration", () => {
    const filled = (): SortedMap<number> => {
      const map = new SortedMap<number>();
      for (let i = 100; i < 2000; i++) map.set(String(i).padStart(4, "0"), i);
      return map;
    };
    const up = filled();
    const seen: number[] = [];
    for (const [k, value] of up.ascending("", undefined)) {
      seen.push(value);
      up.delete(k);
      if (value >= 0) up.set(`${k}x`, -1);
    }
    expect(seen.filter((v) => v >= 0)).toEqual(Array.from({ length: 1900 }, (_, i) => 100 + i));
    const down = filled();
    const back: number[] = [];
    for (const [k, value] of down.descending("", undefined)) {
      back.push(value);
      down.delete(k);
    }
    expect(back).toEqual(Array.from({ length: 1900 }, (_, i) => 1999 - i));
  });
});
