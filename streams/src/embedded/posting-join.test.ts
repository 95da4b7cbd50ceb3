import { memoryOrderedStore } from "@millrace/streams/memory";
import fc from "fast-check";
import { expect, it } from "vitest";
import { encodeLocations, POSTING_TABLE, positionKey, postingPrefix } from "./index-keys.ts";
import { LogIndex } from "./log-index.ts";
import { joinPostings, type Posting } from "./posting-join.ts";

async function indexOf(
  lists: readonly (readonly number[])[],
  entryOf: number,
): Promise<readonly [LogIndex, Posting[]]> {
  const store = memoryOrderedStore();
  const postings = lists.map((_, value) => ({ kind: "type" as const, value }));
  await store.transact((tx) => {
    for (const [value, positions] of lists.entries()) {
      for (let at = 0; at < positions.length; at += entryOf) {
        const entry = positions.slice(at, at + entryOf);
        const offsets = Array.from({ length: (entry.at(-1) as number) + 1 }, (_, position) => position * 8);
        const key = Buffer.concat([postingPrefix("type", value), positionKey(entry[0] as number)]);
        tx.put(POSTING_TABLE, key, encodeLocations(1, 0, entry, offsets));
      }
    }
  });
  return [new LogIndex(store), postings];
}

function joined(index: LogIndex, postings: readonly Posting[], from: number, backward: boolean): [number[], number] {
  const found: number[] = [];
  let parts = 0;
  for (let at: number | undefined = from; at !== undefined; parts++) {
    const { locations, next } = joinPostings(index, postings, at, backward, 4);
    found.push(...locations.map(({ position }) => position));
    at = next;
  }
  return [found, parts];
}

it("gives what stands in all lists, in either direction, from anywhere", async () => {
  const list = fc.uniqueArray(fc.nat(40), { maxLength: 25 }).map((positions) => positions.sort((a, b) => a - b));
  await fc.assert(
    fc.asyncProperty(
      fc.array(list, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(41),
      async (lists, entryOf, from) => {
        const [index, postings] = await indexOf(lists, entryOf);
        const shared = (lists[0] ?? []).filter((position) => lists.every((one) => one.includes(position)));
        expect(joined(index, postings, from, false)[0]).toEqual(shared.filter((position) => position >= from));
        expect(joined(index, postings, from, true)[0]).toEqual(shared.filter((position) => position <= from).reverse());
      },
    ),
  );
});

it("gives others their turn while lists without anything in common are compared", async () => {
  const even = Array.from({ length: 2000 }, (_, i) => i * 2);
  const [index, postings] = await indexOf([even, even.map((position) => position + 1)], 1);
  const [found, parts] = joined(index, postings, 0, false);
  expect(found).toEqual([]);
  expect(parts).toBeGreaterThan(3);
});

it("looks at as much as the rarest list has", async () => {
  const all = Array.from({ length: 5000 }, (_, i) => i);
  const [index, postings] = await indexOf([all, [7, 4800]], 1);
  expect(joined(index, postings, 0, false)).toEqual([[7, 4800], 1]);
});
