import { expect, test } from "vitest";
import { loadProjection } from "./projection-table.ts";
import { SqlDatabase } from "./sql-database.ts";

test("fields without a name, and fields that differ by case, are columns", async () => {
  const database = await SqlDatabase.open();
  try {
    const rows = [{ "": 1, a: 2, A: 3, unnamed: 4 }];
    await loadProjection(
      database,
      "odd",
      (async function* () {
        yield rows;
      })(),
    );
    const result = await database.ask("select * from odd");
    expect(result.columnNames()).toEqual(["unnamed", "a", "A_2", "unnamed_2"]);
    expect((await result.getRows()).flat().map(Number)).toEqual([1, 2, 3, 4]);
  } finally {
    database.close();
  }
});
