import fc from "fast-check";
import { expect, test } from "vitest";
import { RECORD_ALIGN, RECORD_HEADER_BYTES, recordBytes, recordBytesOf } from "./record.ts";

test("a record takes its header and its payload, padded, whatever length is claimed", () => {
  const aroundArb = fc.tuple(fc.constantFrom(0, 2 ** 31, 2 ** 32), fc.integer({ min: -300, max: 300 }));
  const lengthArb = fc.oneof(
    fc.nat({ max: 5000 }),
    aroundArb.map(([at, by]) => Math.max(0, at + by)),
    fc.maxSafeNat().map((n) => n % 2 ** 33),
  );
  fc.assert(
    fc.property(lengthArb, (payloadBytes) => {
      const bytes = recordBytesOf(payloadBytes);
      const padding = bytes - RECORD_HEADER_BYTES - payloadBytes;
      expect(bytes % RECORD_ALIGN).toBe(0);
      expect(padding).toBeGreaterThanOrEqual(0);
      expect(padding).toBeLessThan(RECORD_ALIGN);
      expect(recordBytes(RECORD_HEADER_BYTES + payloadBytes)).toBe(bytes);
    }),
  );
});
