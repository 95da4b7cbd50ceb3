import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RowBatch } from "../frame/batch.ts";
import { Frame } from "../frame/frame.ts";
import { END, type Point } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { arbitraryJson } from "../testing/arbitrary-json.ts";
import { decodeFrame, encodeFrame } from "./frame-codec.ts";

const point: fc.Arbitrary<Point> = fc.record({
  pos: fc.integer({ min: -1, max: 2 ** 50 }),
  ord: fc.constantFrom(0, 7, END),
});
const watermark = fc.constantFrom(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 1_700_000_000_123);
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const head = fc.record({
  path: fc.nat(),
  generation: fc.nat(),
  epoch: fc.integer({ min: -1 }),
  revision: fc.nat(),
  from: point,
  to: point,
  watermark,
  exact: fc.boolean(),
  idle: fc.boolean(),
  mark: fc.option(fc.record({ epoch: fc.nat(), n: fc.nat() }), { nil: null }),
  shed: fc.nat(),
  trace: fc.option(fc.record({ causationId: bytes16, correlationId: bytes16 }), { nil: null }),
  bornMs: fc.constant(5),
});
const rows = fc.array(arbitraryJson(), { maxLength: 20 });

function positionsOf(n: number, form: "dense" | "sparse" | "expanded"): Positions {
  if (form === "dense") return Positions.dense(3, n);
  const pos = Float64Array.from({ length: n }, (_, i) => (form === "sparse" ? i * 3 : i >> 1));
  return Positions.of(pos, form === "sparse" ? null : Uint32Array.from({ length: n }, (_, i) => i & 1));
}

describe("frames on the wire", () => {
  test("are what they were before", () => {
    fc.assert(
      fc.property(
        head,
        rows,
        fc.constantFrom("dense", "sparse", "expanded"),
        fc.boolean(),
        (of, messages, form, hasDead) => {
          const dead = {
            pos: 1,
            ord: 0,
            node: "n",
            attempts: 2,
            error: { code: "X", kind: "terminal", message: "m" },
          } as const;
          const frame = new Frame(
            of,
            new RowBatch(messages),
            positionsOf(messages.length, form),
            hasDead
              ? [
                  { ...dead, input: { a: 1 } },
                  { ...dead, input: undefined },
                ]
              : [],
            hasDead ? [{ pos: 1, watermark: 7 }] : [],
          );
          const again = decodeFrame(encodeFrame(frame), 5);
          expect(again.head).toEqual(of);
          expect(JSON.stringify(again.batch.rows())).toBe(JSON.stringify(messages));
          for (let i = 0; i < messages.length; i++) expect(again.positions.point(i)).toEqual(frame.positions.point(i));
          expect([again.dead, again.late]).toEqual([frame.dead, frame.late]);
        },
      ),
    );
  });

  test("are refused when they are something else", () => {
    for (const bytes of [new Uint8Array(), Uint8Array.of(0xc1), Buffer.from("hello"), Uint8Array.of(0x91, 2)])
      expect(() => decodeFrame(bytes, 0)).toThrow(expect.objectContaining({ code: "TRANSPORT-PROTOCOL" }));
  });
});
