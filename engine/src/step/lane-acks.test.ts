import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { START_ANCHOR } from "../frame/anchor.ts";
import { comparePoints, END, leastPoint, START, wholly } from "../frame/point.ts";
import { LaneAcks } from "./lane-acks.ts";

const anchorAt = (pos: number, watermark = pos) => ({ pos, watermark });

describe("acknowledgements of an origin's lanes", () => {
  it("begin before the first message, and the slowest lane decides (R21)", () => {
    const acks = new LaneAcks([1, 2]);
    expect(acks.least).toEqual(START);
    acks.note(1, wholly(9), anchorAt(9));
    expect(acks.least).toEqual(START);
    acks.note(2, wholly(4), anchorAt(4));
    expect(acks.least).toEqual(wholly(4));
    expect(acks.leastAnchor).toEqual(anchorAt(4));
  });

  it("keep the highest of each lane, in whatever order they come or get lost", () => {
    const ack = fc.record({ path: fc.nat(3), pos: fc.nat(20), ord: fc.constantFrom(0, END) });
    fc.assert(
      fc.property(fc.array(ack), (script) => {
        const acks = new LaneAcks([0, 1, 2]);
        const highest = [START, START, START];
        for (const { path, pos, ord } of script) {
          const before = highest[path];
          const moved = acks.note(path, { pos, ord }, anchorAt(pos, 0));
          if (before === undefined) expect(moved).toBe(false);
          else if (comparePoints({ pos, ord }, before) > 0) highest[path] = { pos, ord };
          expect(acks.least).toEqual(leastPoint(highest));
        }
      }),
    );
  });

  it("take a mark that moves only the watermark", () => {
    const acks = new LaneAcks([1]);
    acks.note(1, wholly(3), anchorAt(3, 10));
    expect(acks.note(1, wholly(3), anchorAt(3, 10))).toBe(false);
    expect(acks.note(1, wholly(3), anchorAt(3, 20))).toBe(true);
    expect(acks.confirm(wholly(3), 20)).toBe(true);
    expect(acks.confirm(wholly(3), 21)).toBe(false);
  });

  it("confirm only what every lane has passed", () => {
    const acks = new LaneAcks([1, 2]);
    acks.note(1, wholly(3), anchorAt(3));
    expect(acks.confirm(wholly(3), 0)).toBe(false);
    acks.note(2, wholly(3), anchorAt(3));
    expect(acks.confirm(wholly(3), 3)).toBe(true);
    expect(acks.confirm(wholly(4), 3)).toBe(false);
  });

  it("of an origin without lanes have nothing to wait for", () => {
    const acks = new LaneAcks([]);
    expect([acks.size, acks.least, acks.confirm(wholly(9), 9)]).toEqual([0, undefined, true]);
    expect(acks.leastAnchor).toEqual(START_ANCHOR);
  });
});
