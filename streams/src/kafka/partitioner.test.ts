import fc from "fast-check";
import { Partitioners } from "kafkajs";
import { expect, it } from "vitest";
import { partitionOf } from "./partitioner.ts";

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
