import fc from "fast-check";
import { expect, it } from "vitest";
import { CorrelationLists } from "./correlation-lists.ts";
import { viewOf } from "./little-endian.ts";
import { ID_BYTES } from "./record.ts";

/** Few that differ in any byte, so that they repeat, and many. */
const idBytes = fc.oneof(
  fc
    .tuple(fc.nat(ID_BYTES - 1), fc.constantFrom(1, 128))
    .map(([at, byte]) => Buffer.alloc(ID_BYTES).fill(byte, at, at + 1)),
  fc.uint8Array({ minLength: ID_BYTES, maxLength: ID_BYTES }).map((bytes) => Buffer.from(bytes)),
);

function listsOf(ids: readonly Buffer[]): [string, number[]][] {
  const lists = new CorrelationLists();
  // All in the same bytes, as a reader of blocks has them.
  const bytes = Buffer.alloc(4 + ID_BYTES);
  for (const [event, id] of ids.entries()) {
    id.copy(bytes, 4);
    lists.add(event, viewOf(bytes), 4);
  }
  const found: [string, number[]][] = [];
  const id = Buffer.alloc(ID_BYTES);
  const note = (events: readonly number[]): void => void found.push([id.toString("hex"), [...events]]);
  lists.visit(id, (event) => note([event]), note);
  return found;
}

function plainly(ids: readonly Buffer[]): [string, number[]][] {
  const lists = new Map<string, number[]>();
  for (const [event, id] of ids.entries()) {
    const list = lists.get(id.toString("hex"));
    if (list === undefined) lists.set(id.toString("hex"), [event]);
    else list.push(event);
  }
  return [...lists];
}

const byId = (lists: readonly [string, number[]][]): readonly [string, number[]][] =>
  lists.toSorted(([a], [b]) => (a < b ? -1 : 1));

it("has the events of every id in order, ids ascending by their first word", () => {
  fc.assert(
    fc.property(fc.array(idBytes, { maxLength: 200 }), (ids) => {
      const lists = listsOf(ids);
      expect(byId(lists)).toEqual(byId(plainly(ids)));
      const words = lists.map(([id]) => id.slice(0, 8));
      expect(words).toEqual(words.toSorted());
    }),
  );
});

it("finds ids again when it has grown", () => {
  const counters = Array.from({ length: 5000 }, (_, i) => {
    const id = Buffer.alloc(ID_BYTES);
    id.writeUInt32BE(i % 3000, (i % 4) * 4);
    return id;
  });
  expect(byId(listsOf(counters))).toEqual(byId(plainly(counters)));
});
