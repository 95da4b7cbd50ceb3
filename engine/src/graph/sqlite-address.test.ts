import { describe, expect, test } from "vitest";
import { parseSqliteAddress } from "./sqlite-address.ts";

describe("a sqlite: address", () => {
  test("names a file, a table and the column that it is read by", () => {
    expect(parseSqliteAddress("./a b?.db?table=Order%20lines&cursor=id&until=now", "source")).toEqual({
      kind: "table",
      path: "./a b?.db",
      target: "Order lines",
      options: new Map(Object.entries({ table: "Order lines", cursor: "id", until: "now" })),
    });
    expect(parseSqliteAddress("/data/shop.db?table=x", "sink")).toMatchObject({ path: "/data/shop.db", target: "x" });
  });

  test.each([
    ["", "sink", "expected the path of a file"],
    ["//host/shop.db?table=x", "sink", "expected the path of a file"],
    ["./shop.db", "sink", "which table is not said"],
    ["./shop.db?tabel=x", "sink", "unknown option `tabel`; did you mean `table`?"],
    ["./shop.db?table=", "sink", "option `table`: expected a name"],
    ["./shop.db?table=x", "source", "add `cursor=<column>`"],
    ["./shop.db?table=x&cursor=id", "sink", "unknown option `cursor`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseSqliteAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });
});
