import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { merged } from "./list-rows.ts";

describe("lists of streams that become that of their category", () => {
  it("have the events of all in order, whether few of a run or all of it", () => {
    const owners = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(owners, fc.integer({ min: 1, max: 40 }), (streams, apart) => {
        const lists = [0, 1, 2, 3].map((stream) =>
          streams.flatMap((owner, i) => (owner === stream ? [i * apart] : [])),
        );
        expect(merged(lists)).toEqual(streams.map((_, i) => i * apart));
      }),
    );
  });
});
