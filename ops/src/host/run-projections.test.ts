import { expect, test } from "vitest";
import { pastRoom, tables } from "./run-projections.ts";

const declared = (graph: string, node: string, key: readonly string[]) => ({
  name: "totals",
  key,
  streams: [`${graph}/${node}`],
});

test("a graph that changes the key of its table, and the sink, has all its rows by the new key", () => {
  const [table] = tables([declared("orders", "board", ["day", "id"])], [declared("orders", "table", ["id"])]);
  expect(table).toMatchObject({ name: "totals", key: ["day", "id"], variant: "orders/board\norders/table" });
});

test("two graphs that write one table by different keys are refused by name", () => {
  expect(() => tables([declared("orders", "table", ["id"])], [declared("returns", "table", ["day"])])).toThrow(
    "projection totals is declared with two keys, [id] by graph orders and [day] by graph returns",
  );
});

test("gives the rows at a past moment the room that the environment says", () => {
  expect([pastRoom(undefined), pastRoom(""), pastRoom("2")]).toEqual([{}, {}, { pastBytesMax: 2 * 1024 * 1024 }]);
  for (const wrong of ["0", "-1", "1.5", "much", "1048577"])
    expect(() => pastRoom(wrong)).toThrow(`MILLRACE_PAST_MIB is \`${wrong}\``);
});
