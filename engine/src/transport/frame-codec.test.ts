import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RowBatch } from "../frame/batch.ts";
import { Frame, type FrameHead } from "../frame/frame.ts";
import type { Json } from "../frame/json.ts";
import { END, type Point } from "../frame/point.ts";
import { Positions } from "../frame/positions.ts";
import { arbitraryJson, arbitraryTable } from "../testing/arbitrary-json.ts";
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

const HEAD: FrameHead = {
  path: 0,
  generation: 0,
  epoch: 0,
  revision: 0,
  from: { pos: 0, ord: 0 },
  to: { pos: 1, ord: 0 },
  watermark: 0,
  exact: true,
  idle: false,
  mark: null,
  shed: 0,
  trace: null,
  bornMs: 5,
};

function frameOf(of: FrameHead, table: readonly Json[], positions: Positions): Frame {
  return new Frame(of, new RowBatch(table), positions);
}

const PROTOCOL = expect.objectContaining({ code: "TRANSPORT-PROTOCOL" });
const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const toHex = (frame: Frame): string => Buffer.from(encodeFrame(frame)).toString("hex");

/** Gives a frame or refuses; nothing else. */
function readable(bytes: Uint8Array): void {
  try {
    decodeFrame(bytes, 5);
  } catch (error) {
    expect(error).toEqual(PROTOCOL);
  }
}

/** Two rows of one shape; then rows of several at positions with gaps, with all that a frame may have. In both versions the same frames. */
const VERSION_1 = [
  "96019c0301040292cd012bceffffffff92cd012d00cb4278bcfe5687b000c3c2c000c0920092de0003a16101a162a178a163c0de0003a161cbc004000000000000a162a3e697a5a163c39202cd012c9090",
  "96019c0000ff0192ffceffffffff920907cbfff0000000000000c2c39202030492c4100102030405060708090a0b0c0d0e0f10c4104142434445464748494a4b4c4d4e4f50920092de0001a1619101a4746578749302c41000000000000000400000000000002240c408000000000700000091960300a16e02de0003a4636f6465a158a46b696e64a87465726d696e616ca76d657373616765a16d91de0001a1610191920406",
] as const;
const VERSION_2 = [
  "02014503010502ac02ae020000b08756febc7842ac020d005b2261222c2262222c2263225d020301060178000500000000000004c00701e56502",
  "02007a00000001000a070303040102030405060708090a0b0c0d0e0f104142434445464748494a4b4c4d4e4f5094920092de0001a1619101a4746578749302c41000000000000000400000000000002240c408000000000700000091960300a16e02de0003a4636f6465a158a46b696e64a87465726d696e616ca76d657373616765a16d91de0001a1610191920406",
] as const;

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

  test("are what they were before when they are a few rows of one shape", () => {
    const strings = fc.constantFrom("a".repeat(5000), "ä".repeat(30), "x".repeat(30), "", "0");
    const cells = fc.oneof(strings, fc.constantFrom(-0, 1.5, 2 ** 31, -(2 ** 31), 127, 128, null, true, false));
    const few = fc.oneof(
      arbitraryTable().map((table) => table.slice(0, 7)),
      fc.array(fc.record({ a: cells, b: cells, "1": cells }), { minLength: 1, maxLength: 7 }),
    );
    fc.assert(
      fc.property(head, few, (of, table) => {
        const again = decodeFrame(encodeFrame(frameOf(of, table, Positions.dense(2 ** 40, table.length))), 5);
        expect(again.head).toEqual(of);
        expect(JSON.stringify(again.batch.rows())).toBe(JSON.stringify(table));
        if (table.length > 0) expect(again.positions.pos(table.length - 1)).toBe(2 ** 40 + table.length - 1);
      }),
    );
  });

  test("are what they were before whatever shape the rows before them had", () => {
    const tables: readonly (readonly Json[])[] = [
      [{ a: 1, b: "x" }],
      [{ b: "x", a: -0 }],
      [{ a: { deep: [1] }, b: "x" }],
      [{ a: 2 ** 53, b: "x".repeat(40_000) }],
      [{ a: 1, b: "x" }, { a: 1 }],
      [{ a: 1 }, { a: 1, b: "x" }],
      [{}],
      [[1], null],
    ];
    for (const before of tables) {
      for (const table of tables) {
        encodeFrame(frameOf(HEAD, before, Positions.dense(0, before.length)));
        const again = decodeFrame(encodeFrame(frameOf(HEAD, table, Positions.dense(0, table.length))), 5).batch.rows();
        expect(again).toEqual(table);
        expect(again.map((row) => JSON.stringify(row))).toEqual(table.map((row) => JSON.stringify(row)));
      }
    }
  });

  test("keep what was written before when more is", () => {
    const written = Array.from({ length: 400 }, (_, i) => {
      return encodeFrame(frameOf(HEAD, [{ seq: i, note: "x".repeat(100) }], Positions.dense(i, 1)));
    });
    const read = written.map((bytes) => decodeFrame(bytes, 5).batch.row(0));
    expect(read).toEqual(read.map((_, i) => ({ seq: i, note: "x".repeat(100) })));
  });

  test("keep halves of characters in a few rows of one shape", () => {
    const halves = [{ a: "\ud800", b: "\udc00" }];
    const again = decodeFrame(encodeFrame(frameOf(HEAD, halves, Positions.dense(0, 1))), 5);
    expect(again.batch.rows()).toEqual(halves);
  });

  test("are the bytes that they were in earlier builds", () => {
    expect(VERSION_2.map((hex) => toHex(decodeFrame(fromHex(hex), 5)))).toEqual(VERSION_2);
  });

  test("of version 1 are still read", () => {
    const frames = VERSION_1.map((hex) => decodeFrame(fromHex(hex), 5));
    expect(frames.map(toHex)).toEqual(VERSION_2);
    expect(frames.map(({ batch }) => batch.rows())).toEqual([
      [
        { a: 1, b: "x", c: null },
        { a: -2.5, b: "日", c: true },
      ],
      [{ a: [1] }, "text"],
    ]);
  });

  test("do not keep the bytes that they were read from", () => {
    const bytes = fromHex(VERSION_2[0]);
    const frame = decodeFrame(bytes, 5);
    bytes.fill(0);
    expect(toHex(frame)).toBe(VERSION_2[0]);
  });

  test("are refused when they are cut, and never read for ever", () => {
    for (const hex of VERSION_2) {
      const whole = fromHex(hex);
      for (let n = 0; n < whole.length; n++) expect(() => decodeFrame(whole.subarray(0, n), 5)).toThrow(PROTOCOL);
      for (let i = 0; i < whole.length; i++) {
        for (const byte of [0x00, 0x7f, 0xff]) readable(Uint8Array.from(whole, (was, at) => (at === i ? byte : was)));
      }
    }
  });

  test("are refused when they are something else", () => {
    for (const bytes of [new Uint8Array(), Uint8Array.of(0xc1), Buffer.from("hello"), Uint8Array.of(0x91, 2)])
      expect(() => decodeFrame(bytes, 0)).toThrow(PROTOCOL);
  });
});
