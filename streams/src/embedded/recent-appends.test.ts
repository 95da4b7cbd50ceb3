import fc from "fast-check";
import { expect, it } from "vitest";
import { RecentAppends } from "./recent-appends.ts";

it("remembers exactly the last appends, whatever their ids", () => {
  const id = fc.uint8Array({ minLength: 16, maxLength: 16, max: 2 });
  fc.assert(
    fc.property(fc.uniqueArray(id, { maxLength: 60, selector: (bytes) => bytes.join() }), (ids) => {
      const recent = new RecentAppends(16);
      for (const [position, bytes] of ids.entries()) {
        expect(recent.find(bytes)).toBe(-1);
        recent.add(new DataView(bytes.buffer, bytes.byteOffset), 0, position);
        for (const [other, known] of ids.slice(0, position + 1).entries()) {
          expect(recent.find(known)).toBe(other > position - 16 ? other : -1);
        }
      }
    }),
  );
});
