import { type StoredRecord, type StoredRecords, storedRecords } from "@millrace/engine";
import { storedPositions } from "@millrace/engine/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { entryOf, leafOfEntry } from "./leaf-hash.ts";
import { nodeHash } from "./merkle.ts";
import { inlineTreeHasher } from "./tree-hasher.ts";

const record = fc.record({ header: fc.uint8Array({ maxLength: 9 }), payload: fc.uint8Array({ maxLength: 300 }) });
const positions = fc.array(fc.array(record, { minLength: 1, maxLength: 3 }), { maxLength: 20 });

/** What the definition says, position by position. */
function expectedLeaves(records: StoredRecords): Buffer {
  const leaves: Buffer[] = [];
  let ofPosition: StoredRecord[] = [];
  for (const record of storedRecords(records)) {
    ofPosition.push(record);
    if (record.isControl) continue;
    leaves.push(leafOfEntry(entryOf(ofPosition)));
    ofPosition = [];
  }
  return Buffer.concat(leaves);
}

describe("the tree's hasher in TypeScript", () => {
  it("makes of each position the leaf of its entry", async () => {
    await fc.assert(
      fc.asyncProperty(positions, async (of) => {
        const records = storedPositions(7, of);
        expect(await inlineTreeHasher().leaves(records)).toEqual(expectedLeaves(records));
      }),
    );
  });

  it("refuses half a position, and lets others have a turn between runs", async () => {
    const places = Uint32Array.of(0, 1, 2, 1);
    await expect(inlineTreeHasher().leaves({ bytes: Buffer.alloc(2), places })).rejects.toThrow(/whole positions/);
    let pauses = 0;
    const hasher = inlineTreeHasher(async () => void pauses++);
    const many = Uint32Array.from({ length: 4000 }, (_, i) => (i % 4 === 1 ? 1 : i % 4 === 2 ? 2 : 0));
    expect(await hasher.leaves({ bytes: Buffer.alloc(2), places: many })).toHaveLength(32_000);
    expect(pauses).toBeGreaterThan(10);
  });

  it("makes the root of a tile of eight levels of nodes", async () => {
    let expected: Buffer = Buffer.alloc(32, 7);
    for (let level = 0; level < 8; level++) expected = nodeHash(expected, expected);
    const roots = await inlineTreeHasher().tileRoots(Buffer.alloc(2 * 8192, 7));
    expect(roots).toEqual(Buffer.concat([expected, expected]));
  });
});
