import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BridgeFrame, encodeFrame, FrameReader, type HostFrame } from "./bridge-frame.ts";

/** What either end can say: the form is the same both ways. */
const values = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }),
  fc.boolean(),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);
const frames = fc.array(
  fc
    .dictionary(fc.oneof(fc.constantFrom("__proto__", "toJSON"), fc.string({ minLength: 1 })), values, { maxKeys: 5 })
    .map((fields) => ({ ...fields, is: "message" })),
  { maxLength: 12 },
);

/** The bytes in as many pieces as there are places to cut. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((to, i) => bytes.subarray(at[i], to));
}

describe("frames of a bridge", () => {
  test("are the same however what arrives is cut", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 30 }), (said, cuts) => {
        const bytes = Buffer.concat(said.map((frame) => encodeFrame(frame as unknown as HostFrame)));
        const reader = new FrameReader();
        const heard: BridgeFrame[] = [];
        for (const piece of pieces(bytes, cuts)) heard.push(...reader.read(piece));
        expect(heard).toEqual(said);
      }),
    );
  });

  test("come as soon as their last byte is there, and leave out what is undefined", () => {
    const reader = new FrameReader();
    const bytes = encodeFrame({ is: "settle", ns: [1, 2] });
    for (const byte of bytes.subarray(0, -1)) expect(reader.read(Uint8Array.of(byte))).toEqual([]);
    expect(reader.read(bytes.subarray(-1))).toEqual([{ is: "settle", ns: [1, 2] }]);
    const sender = encodeFrame({ is: "sender", kind: "queue", name: "q", body: "text", type: undefined, expiryMs: 0 });
    expect(reader.read(sender)).toEqual([{ is: "sender", kind: "queue", name: "q", body: "text", expiryMs: 0 }]);
  });
});
