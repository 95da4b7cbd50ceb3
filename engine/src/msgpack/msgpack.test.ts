import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import { arbitraryJson } from "../testing/arbitrary-json.ts";
import { Msgpack } from "./msgpack.ts";

/** JSON tells what an object has of its own, in order, and finds no field in its prototype. */
const text = (value: unknown): string => JSON.stringify(value);

const parsed = (json: string): unknown => JSON.parse(json);

describe.each([new Msgpack(), new Msgpack({ isForeign: true, integers: "exact" })])("values as msgpack", (msgpack) => {
  it("come back as they were, whatever their fields are called", () => {
    fc.assert(
      fc.property(arbitraryJson(), (value) => {
        expect(text(msgpack.unpack(msgpack.pack(value)))).toBe(text(value));
      }),
    );
  });

  it.each([
    '{"__proto__":1}',
    '{"__proto__":{"a":1},"b":[{"__proto__":null,"__proto_":2}]}',
    '{"constructor":1,"toJSON":2}',
    '{"constructor":{"prototype":{}},"hasOwnProperty":1,"toString":null,"valueOf":"x","toJSON":{}}',
    '{"says":"__proto__"}',
  ])("keep %s, and the prototype of every object", (json) => {
    const value = msgpack.unpack(msgpack.pack(parsed(json)));
    expect(text(value)).toBe(json);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it("may be objects of any number of fields", () => {
    const row = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`f${i}`, i]));
    expect(text(msgpack.unpack(msgpack.pack([row, row], 3), 3))).toBe(text([row, row]));
  });

  it("keep bytes beside such a field, and are read behind other bytes", () => {
    const value = Object.fromEntries([
      ["__proto__", Buffer.from([1, 2, 3])],
      ["b", -1],
    ]);
    const bytes = msgpack.pack(value, 7);
    const read = msgpack.unpack(bytes, 7) as Record<string, unknown>;
    expect(Object.entries(read)).toEqual([
      ["__proto__", Buffer.from([1, 2, 3])],
      ["b", -1],
    ]);
  });
});

describe("msgpack of others", () => {
  const msgpack = new Msgpack({ isForeign: true });

  it("may say how long `__proto__` is in more bytes than needed", () => {
    for (const lead of [
      [0xd9, 9],
      [0xda, 0, 9],
      [0xdb, 0, 0, 0, 9],
    ]) {
      const bytes = Buffer.from([0x81, ...lead, ...Buffer.from("__proto__"), 5]);
      expect(text(msgpack.unpack(bytes))).toBe('{"__proto__":5}');
    }
  });

  it("may have keys that are no texts, which become texts", () => {
    const packr = new Packr({ useRecords: false });
    const map = new Map<unknown, unknown>([
      [1, "a"],
      [true, "b"],
      ["__proto__", "c"],
    ]);
    expect(text(msgpack.unpack(packr.pack(map)))).toBe('{"1":"a","true":"b","__proto__":"c"}');
    expect(() => msgpack.unpack(packr.pack(new Map([[["x"], new Map([["__proto__", 1]])]])))).toThrow();
  });

  it("may have integers that JSON cannot say", () => {
    const bytes = new Packr({ useRecords: false }).pack(2n ** 60n + 1n);
    expect(msgpack.unpack(bytes)).toBe(2 ** 60);
    expect(new Msgpack({ isForeign: true, integers: "exact" }).unpack(bytes)).toBe(2n ** 60n + 1n);
  });
});
