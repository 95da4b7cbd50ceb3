import fc from "fast-check";
import { Partitioners } from "kafkajs";
import { expect, it } from "vitest";
import { partitionOf, partitionsOf } from "./partitioner.ts";

const ascii = fc.string({ unit: "binary-ascii", maxLength: 40 });
const anyText = fc.string({ unit: "grapheme", maxLength: 20 });

it("places keys where another client of Kafka does, whatever characters they have", () => {
  const place = Partitioners.DefaultPartitioner();
  const metadata = (partitions: number) =>
    Array.from({ length: partitions }, (_, i) => ({
      partitionId: i,
      leader: 0,
      partitionErrorCode: 0,
      replicas: [],
      isr: [],
    }));
  const key = fc.oneof(
    ascii,
    anyText,
    fc.tuple(ascii, anyText, ascii).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(key, fc.integer({ min: 1, max: 50 }), (text, partitions) => {
      const theirs = place({
        topic: "t",
        partitionMetadata: metadata(partitions),
        message: { key: text, value: null },
      });
      // To it an empty text is no key at all.
      if (text !== "") expect(partitionOf(text, partitions)).toBe(theirs);
    }),
    { numRuns: 400 },
  );
});

it("leaves to a kernel what that is faster with: many keys, or long ones", () => {
  const asked = (n: number, length: number): boolean => {
    let isAsked = false;
    const kernel = {
      place(keys: readonly string[], _partitions: number, into: Int32Array): void {
        isAsked = true;
        into.fill(3, 0, keys.length);
      },
    };
    const keys = Array.from({ length: n }, (_, i) => `${i}`.padEnd(length, "k"));
    const wanted = keys.map((key) => partitionOf(key, 12));
    expect(partitionsOf(keys, 12, undefined)).toEqual(wanted);
    expect(partitionsOf(keys, 12, kernel)).toEqual(isAsked ? keys.map(() => 3) : wanted);
    return isAsked;
  };
  expect([asked(4096, 36), asked(64, 24), asked(1, 1000)]).toEqual([true, true, true]);
  expect([asked(4096, 8), asked(16, 36), asked(1, 200), asked(0, 0)]).toEqual([false, false, false, false]);
});
