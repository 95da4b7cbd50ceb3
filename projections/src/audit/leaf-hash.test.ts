import type { StoredRecord } from "@millrace/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { entryOf, LeafHasher, leafOfEntry } from "./leaf-hash.ts";
import { batchSha256 } from "./message-hashes.ts";

const position = fc.record({
  controls: fc.integer({ min: 0, max: 2 }),
  header: fc.uint8Array({ minLength: 8, maxLength: 8 }),
});

describe("a leaf hasher", () => {
  it("makes of each position the leaf of its entry, however records are cut into runs", () => {
    const hasher = new LeafHasher(batchSha256);
    fc.assert(
      fc.property(
        fc.array(position, { minLength: 1 }),
        fc.array(fc.uint8Array({ maxLength: 300 })),
        fc.integer(),
        (made, payloads, first) => {
          const records = made.map(({ controls, header }, i) =>
            Array.from({ length: controls + 1 }, (_, j): StoredRecord => {
              const payload = payloads[(i + j) % payloads.length] ?? new Uint8Array(0);
              return { position: first + i, isControl: j < controls, header, payload };
            }),
          );
          const expected = records.map((ofPosition) => leafOfEntry(entryOf(ofPosition)));
          const middle = Math.ceil(records.length / 2);
          const [head, tail] = [records.slice(0, middle).flat(), records.slice(middle).flat()];
          const found = [head, tail].filter((run) => run.length > 0).map((run) => hasher.leaves(run));
          expect(found.map((leaves) => leaves.first)).toEqual([first, first + middle].slice(0, found.length));
          expect(Buffer.concat(found.map(({ bytes }) => bytes))).toEqual(Buffer.concat(expected));
        },
      ),
    );
  });

  it("takes a payload that is larger than its buffer", () => {
    const large: StoredRecord = {
      position: 0,
      isControl: false,
      header: Buffer.alloc(8),
      payload: Buffer.alloc(3_000_000, 7),
    };
    const hasher = new LeafHasher(batchSha256);
    for (let time = 0; time < 2; time++) expect(hasher.leaves([large]).bytes).toEqual(leafOfEntry(entryOf([large])));
  });
});
