import { type InputSlice, type Json, Positions, RowBatch } from "@millrace/engine";
import { describe, expect, test } from "vitest";
import { NO_ATTRIBUTES } from "../format/message-parts.ts";
import { outgoingOf, plainIdsOf, Unfinished } from "./outgoing.ts";

const encode = (row: Json) => ({
  body: Buffer.from(JSON.stringify(row)),
  contentType: undefined,
  attributes: NO_ATTRIBUTES,
  event: undefined,
});
const slice = (lane: string, from: number, n: number): InputSlice => ({
  lane,
  input: 0,
  batch: new RowBatch(Array.from({ length: n }, (_, i) => i)),
  positions: Positions.dense(from, n),
  late: [],
});
const idsOf = (lane: string, from = 0, n = 1) => outgoingOf("g/out", slice(lane, from, n), encode).map(({ id }) => id);

describe("the id of a message", () => {
  test("is of sink, lane and place, the same whenever it is sent", () => {
    expect(idsOf("in/0", 7, 2)).toEqual(["g/out/in/0/7/0", "g/out/in/0/8/0"]);
  });

  test("fits what protocols take, however long the lane's name is, and tells lanes and places apart", () => {
    const lanes = ["é".repeat(200), `${"é".repeat(200)}x`];
    const ids = lanes.flatMap((lane) => idsOf(lane, Number.MAX_SAFE_INTEGER - 1, 2));
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(Buffer.byteLength(id)).toBeLessThanOrEqual(255);
    expect(lanes.flatMap((lane) => idsOf(lane, Number.MAX_SAFE_INTEGER - 1, 2))).toEqual(ids);
  });

  test("is of plain characters where others read it", () => {
    const [one, other] = ["in/ü", "in/0"].flatMap((lane) => plainIdsOf("g/out", slice(lane, 3, 1))) as [string, string];
    expect(one).toMatch(/^[\w-]{22}\/3\/0$/);
    expect(other).not.toBe(one);
  });
});

test("what the broker took of a delivery that failed is not sent again, and what is sent is bounded", async () => {
  const unfinished = new Unfinished();
  const messages = ["a", "b", "c", "d"].map((id) => ({ id }));
  const sent: string[][] = [];
  const send = (takenMax: number) => async (some: readonly { readonly id: string }[]) => {
    sent.push(some.map(({ id }) => id));
    for (const { id } of some.slice(0, takenMax)) unfinished.took(id);
    if (takenMax < some.length) throw new Error("full");
  };
  await expect(unfinished.finish(messages, 3, send(2))).rejects.toThrow("full");
  await unfinished.finish(messages, 3, send(3));
  // Of another delivery with the same ids everything is sent: nobody remembers what is done.
  await unfinished.finish(messages, 3, send(3));
  expect(sent).toEqual([["a", "b", "c"], ["c", "d"], ["a", "b", "c"], ["d"]]);
});
