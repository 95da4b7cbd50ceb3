import { type Json, type Place, Positions, RowBatch, type SourceConnector } from "@millrace/engine";
import { describe, expect, it } from "vitest";
import { loadTable } from "./table.ts";

const PLACE: Place = { file: "graph.yaml", line: 3, column: 5 };

function tableOf(rows: readonly Json[]): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    async open() {
      let at = 0;
      return {
        async read() {
          if (at === rows.length) return "end";
          const row = rows[at] as Json;
          return { batch: new RowBatch([row]), positions: Positions.dense(at, 1), through: at++, rejected: [] };
        },
        async close() {},
      };
    },
  };
}

describe("a table", () => {
  it("keeps codes that look like numbers as text when one of them is none", async () => {
    const table = await loadTable(tableOf([{ code: "0E0" }, { code: "12" }]), "code", PLACE);
    expect([...table.keys()]).toEqual(["0E0", "12"]);
  });

  it("has numbers as keys when all texts are numbers", async () => {
    const table = await loadTable(tableOf([{ id: "7" }, { id: "-1.5" }]), "id", PLACE);
    expect(table.get(7)).toEqual({ id: 7 });
    expect(table.get(-1.5)).toEqual({ id: -1.5 });
  });

  it.each([
    ["007", "leading zeros"],
    ["1e3", "an exponent"],
    ["12345678901234567890", "more digits than a number holds"],
  ])("keeps %s as text, for %s", async (text) => {
    expect([...(await loadTable(tableOf([{ id: text }]), "id", PLACE)).keys()]).toEqual([text]);
  });

  it("finds a code of a CSV file, whose cells are texts and numbers, in a column of codes that are texts, and the other way", async () => {
    const codes = await loadTable(tableOf([{ code: "01" }, { code: "10" }]), "code", PLACE);
    expect(["01", 10, "10", 1, "1"].map((key) => codes.get(key))).toEqual([
      { code: "01" },
      { code: "10" },
      { code: "10" },
      undefined,
      undefined,
    ]);
    const ids = await loadTable(tableOf([{ id: "7" }]), "id", PLACE);
    expect([ids.get("7"), ids.has("7"), ids.has("07"), ids.get("7.0")]).toEqual([{ id: 7 }, true, false, undefined]);
    // A table whose keys are both has both.
    expect((await loadTable(tableOf([{ id: 7 }, { id: "7" }]), "id", PLACE)).get("7")).toEqual({ id: "7" });
  });

  it("keeps keys as text where the graph says their type", async () => {
    expect((await loadTable(tableOf([{ id: "7" }]), "id", PLACE, true)).get("7")).toEqual({ id: "7" });
  });

  it("leaves out rows whose key is null", async () => {
    expect((await loadTable(tableOf([{ id: null }, { id: "a" }]), "id", PLACE)).size).toBe(1);
  });

  it.each([
    ["a key twice", [{ id: "a" }, { id: "a" }], '`id` = "a" is there twice'],
    ["no such column", [{ name: "a" }], "a row has no column `id`"],
  ])("is refused for %s, with its place", async (_what, rows, message) => {
    await expect(loadTable(tableOf(rows), "id", PLACE)).rejects.toMatchObject({
      code: "HOST-TABLE",
      message,
      place: PLACE,
    });
  });
});
