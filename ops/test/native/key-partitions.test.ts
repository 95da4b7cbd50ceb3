/** Keys placed by the addon against the same by TypeScript, and against what Kafka's own tests say. */

import type { PartitionKernel } from "@millrace/engine";
import { nativeKeys } from "@millrace/native";
import { partitionOf } from "@millrace/streams/kafka";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const kernel = (): PartitionKernel => nativeKeys() as PartitionKernel;

/** Of `UtilsTest.testMurmur2`. */
const OF_KAFKA: readonly (readonly [key: string, hash: number])[] = [
  ["21", -973_932_308],
  ["foobar", -790_332_482],
  ["a-little-bit-long-string", -985_981_536],
  ["a-little-bit-longer-string", -1_486_304_829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
  ["abc", 479_470_107],
];

/** A half of a character that may become whole with its neighbour, and what else texts are made of. */
const unit = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 0x7f }) },
  { weight: 1, arbitrary: fc.constantFrom(0xd83d, 0xde00, 0xd800, 0xdfff) },
  { weight: 1, arbitrary: fc.constantFrom(0x80, 0xe9, 0x7ff, 0x800, 0x444, 0xfffd, 0xffff) },
);
const ofUnits = fc.array(unit, { maxLength: 12 }).map((units) => String.fromCharCode(...units));
const key = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 200 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
  { weight: 2, arbitrary: ofUnits },
  { weight: 1, arbitrary: fc.constant("") },
);
const partitions = fc.integer({ min: 1, max: 10_000 });

function placed(keys: readonly string[], count: number): number[] {
  const into = new Int32Array(keys.length + 1).fill(-1);
  kernel().place(keys, count, into);
  expect(into[keys.length]).toBe(-1);
  return [...into.subarray(0, keys.length)];
}

const wanted = (keys: readonly string[], count: number): number[] => keys.map((text) => partitionOf(text, count));

describe.skipIf(skipped)(`keys placed by the addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  it("lie where Kafka has them", () => {
    const keys = OF_KAFKA.map(([text]) => text);
    for (const count of [1, 12, 10_000, 2 ** 31 - 1]) {
      const theirs = OF_KAFKA.map(([, hash]) => (hash & 0x7fff_ffff) % count);
      expect(placed(keys, count)).toEqual(theirs);
      expect(wanted(keys, count)).toEqual(theirs);
    }
  });

  it("lie where TypeScript has them, whatever characters they have", () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 40 }), partitions, (keys, count) => {
        expect(placed(keys, count)).toEqual(wanted(keys, count));
      }),
      { numRuns: 500 },
    );
  });

  it("of every length up to 200, in ASCII and not", () => {
    const keys = Array.from({ length: 201 }, (_, length) => "0123456789abcdef-".repeat(12).slice(0, length));
    const accented = keys.map((text) => text.replace("f", "é"));
    for (const all of [keys, accented, [...keys, ...accented]]) expect(placed(all, 997)).toEqual(wanted(all, 997));
  });

  it("each by itself, where the halves of a character lie in two", () => {
    const keys = ["a\ud83d", "\ude00b", "\ud83d", "", "\ude00", "\ud83d\ude00", "\ude00\ud83d", "plain"];
    expect(placed(keys, 5000)).toEqual(wanted(keys, 5000));
  });

  it("also where they are too many, or too long, for one text", () => {
    const many = Array.from({ length: 5000 }, (_, i) => (i % 3 === 0 ? "" : `k${i}`));
    const long = ["x".repeat(100_000), "y", "é".repeat(50_000), "z".repeat(16_384), "😀".repeat(8192), ""];
    for (const keys of [many, long]) expect(placed(keys, 64)).toEqual(wanted(keys, 64));
  });

  it("are refused without partitions, or without room", () => {
    expect(() => kernel().place(["a"], 0, new Int32Array(1))).toThrow("a topic has partitions");
    expect(() => kernel().place(["a", "b"], 1, new Int32Array(1))).toThrow("there is room");
  });
});
