import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32cOfPair, crc32c as crc32cOfView } from "./crc32c.ts";
import { viewOf } from "./little-endian.ts";

const crc32c = (bytes: Uint8Array, from: number, to: number, seed?: number): number =>
  crc32cOfView(viewOf(bytes), from, to, seed);

/** Bit by bit, from the definition. */
function naive(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe("crc32c", () => {
  it("gives the check value of RFC 3720 and of the polynomial's catalogue", () => {
    expect(crc32c(Buffer.from("123456789"), 0, 9)).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(255), 0, 32)).toBe(0x62a8ab43);
  });

  it("agrees with the definition on any bytes, from any offset, in any two parts", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(80), fc.nat(80), (bytes, a, b) => {
        const from = Math.min(a, b, bytes.length);
        const middle = Math.min(Math.max(a, b), bytes.length);
        const whole = naive(bytes.subarray(from));
        expect(crc32c(bytes, from, bytes.length)).toBe(whole);
        expect(crc32c(bytes, middle, bytes.length, crc32c(bytes, from, middle))).toBe(whole);
      }),
    );
  });

  it("takes two numbers as their eight bytes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.nat(),
        (a, b, seed) => {
          const bytes = Buffer.alloc(8);
          bytes.writeUInt32LE(a, 0);
          bytes.writeUInt32LE(b, 4);
          expect(crc32cOfPair(a, b, seed)).toBe(crc32c(bytes, 0, 8, seed));
        },
      ),
    );
  });
});
