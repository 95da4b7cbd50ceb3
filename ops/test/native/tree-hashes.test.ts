import { storedPositions } from "@millrace/engine/testing";
import { nativeTreeHasher } from "@millrace/native";
import { inlineTreeHasher } from "@millrace/projections";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const skipped = process.env.MILLRACE_SKIP_RUST;
const TILE_BYTES = 8192;
const record = fc.record({ header: fc.uint8Array({ maxLength: 9 }), payload: fc.uint8Array({ maxLength: 300 }) });
const positions = fc.array(fc.array(record, { minLength: 1, maxLength: 3 }), { maxLength: 20 });

describe.skipIf(skipped)(`the tree's hasher of the addon${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  const native = nativeTreeHasher();
  const inline = inlineTreeHasher();

  it("is there", () => expect(native).toBeDefined());

  it("makes the leaves that the TypeScript one makes", async () => {
    await fc.assert(
      fc.asyncProperty(positions, async (of) => {
        const records = storedPositions(7, of);
        expect(Buffer.from((await native?.leaves(records)) ?? [])).toEqual(Buffer.from(await inline.leaves(records)));
      }),
    );
  });

  it("makes the roots of tiles that the TypeScript one makes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 3 }),
        fc.uint8Array({ minLength: 1, maxLength: 99 }),
        async (n, some) => {
          const tiles = Buffer.alloc(n * TILE_BYTES, some);
          expect(Buffer.from((await native?.tileRoots(tiles)) ?? [])).toEqual(
            Buffer.from(await inline.tileRoots(tiles)),
          );
        },
      ),
    );
  });

  it("refuses what is no sequence of whole positions, and no full tiles", async () => {
    const bytes = Buffer.alloc(8);
    for (const places of [
      [0, 4, 9, 0],
      [4, 0, 8, 0],
      [0, 4, 3, 0],
      [0, 4, 8],
    ])
      await expect(native?.leaves({ bytes, places: Uint32Array.from(places) })).rejects.toThrow(/ascend/);
    await expect(native?.leaves({ bytes, places: Uint32Array.of(0, 4, 8, 1) })).rejects.toThrow(/whole positions/);
    await expect(native?.tileRoots(Buffer.alloc(100))).rejects.toThrow(/8192/);
  });
});
