import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireMessage } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

const U64 = (1n << 64n) - 1n;

describe("the wire format", () => {
  it("reads back every number that was written", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
        fc.integer({ min: 1, max: 536_870_911 }),
        (n, field) => {
          const message = new WireMessage(new WireWriter().uint(field, n).finish());
          expect(message.int64(field)).toBe(n);
          expect(message.int32(field)).toBe(Number(BigInt.asIntN(32, n)));
          const unsigned = BigInt.asUintN(64, n);
          expect(message.uint(field)).toBe(Math.min(Number(unsigned), Number.MAX_SAFE_INTEGER));
        },
      ),
    );
  });

  it("writes a number the same as number and as bigint", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        expect(new WireWriter().uint(1, n).finish()).toEqual(new WireWriter().uint(1, BigInt(n)).finish());
      }),
    );
  });

  it("nests messages of every size", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40_000), { maxLength: 4 }), fc.string({ unit: "grapheme" }), (sizes, text) => {
        const writer = new WireWriter(1);
        for (const size of sizes)
          writer.message(3, (outer) =>
            outer.message(1, (inner) => inner.bytes(2, Buffer.alloc(size, 7)).text(4, text)).bool(9, true),
          );
        const outers = new WireMessage(writer.finish()).messages(3);
        expect(outers.map((outer) => outer.message(1).bytes(2).length)).toEqual(sizes);
        expect(outers.every((outer) => outer.message(1).text(4) === text && outer.bool(9))).toBe(true);
      }),
    );
  });

  it("agrees with the examples of the specification", () => {
    expect(new WireWriter().uint(1, 150).finish().toString("hex")).toBe("089601");
    expect(new WireWriter().text(2, "testing").finish().toString("hex")).toBe("120774657374696e67");
    expect(
      new WireWriter()
        .message(3, (it) => it.uint(1, 150))
        .finish()
        .toString("hex"),
    ).toBe("1a03089601");
    expect(new WireWriter().uint(1, -2n).finish()).toEqual(new WireWriter().uint(1, U64 - 1n).finish());
  });

  it("takes any bytes or refuses them with a code", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          const message = new WireMessage(Buffer.from(bytes));
          message.text(1);
          message.messages(2);
          message.int64(3);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: "EVENTSTORE-INVALID" });
        }
      }),
    );
  });

  it("has the last of a field that is there several times, and all of a repeated one", () => {
    const message = new WireMessage(new WireWriter().uint(1, 1).text(2, "a").uint(1, 2).text(2, "b").finish());
    expect([message.uint(1), message.text(2), message.texts(2)]).toEqual([2, "b", ["a", "b"]]);
    expect([message.has(1), message.has(3), message.uint(3), message.text(3)]).toEqual([true, false, 0, ""]);
  });
});
