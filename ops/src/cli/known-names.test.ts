import { type Json, reportOf } from "@millrace/engine";
import { expect, it } from "vitest";
import type { Api, Query } from "./api.ts";
import { type Asked, refuseUnknown } from "./known-names.ts";

const ROWS = [
  { graph: "sales", node: "" },
  { graph: "sales", node: "board" },
  { graph: "gone", node: "" },
  { graph: "gone", node: "out" },
];
/** What the log has beside the streams of these nodes. */
const EVENT = { stream: "order-7", type: "OrderPlaced", category: "order", tag: "seat:1", correlation: "0" };
/** A server whose graphs have these nodes, a row a page, and whose log has one other event. */
const api = {
  async get(path: string, { cursor, ...query }: Query = {}): Promise<Json> {
    if (path === "/api/v1/events") {
      const wanted = Object.entries(query).filter(([name]) => name in EVENT);
      const found = wanted.every(([name, value]) => String(value) === EVENT[name as keyof typeof EVENT]);
      return { events: found ? [EVENT] : [] };
    }
    const at = Number(cursor ?? 0);
    return { rows: [ROWS[at] as Json], next: at + 1 < ROWS.length ? String(at + 1) : null };
  },
} as Api;

const verdict = (asked: Asked): Promise<unknown> =>
  refuseUnknown(api, asked).then(
    () => "known",
    (thrown: unknown) => `${reportOf(thrown).code} ${reportOf(thrown).message}`,
  );

it.each<[Asked, string]>([
  [{}, "known"],
  [{ stream: "sales/board" }, "known"],
  [{ stream: "graph/gone" }, "known"],
  [{ stream: "order-7" }, "known"],
  [{ stream: "sales/bord" }, "CLI-UNKNOWN there is no stream sales/bord; did you mean `sales/board`?"],
  [{ stream: "graph/sale" }, "CLI-UNKNOWN there is no stream graph/sale; did you mean `graph/sales`?"],
  [{ stream: "order-8" }, "CLI-UNKNOWN there is no stream order-8"],
  [{ graph: "gone", node: "out" }, "known"],
  [{ graph: "sale" }, "CLI-UNKNOWN there is no graph sale; did you mean `sales`?"],
  [{ graph: "sales", node: "out" }, "CLI-UNKNOWN graph sales has no node out"],
  [{ node: "boards" }, "CLI-UNKNOWN there is no node boards; did you mean `board`?"],
  [{ type: "OrderPlaced" }, "known"],
  // No graph was ever stopped here; that is no mistake of who asks for it.
  [{ type: "GraphStopped,OrderPlaced" }, "known"],
  [{ type: "OrdrPlaced" }, "CLI-UNKNOWN the log has no event of type OrdrPlaced; did you mean `OrderPlaced`?"],
  [{ type: "Step,GraphStoped" }, "CLI-UNKNOWN the log has no event of type GraphStoped; did you mean `GraphStopped`?"],
  [{ category: "order", tag: ["seat:1"], correlation: "0" }, "known"],
  [{ category: "ordr" }, "CLI-UNKNOWN there is no stream of category ordr"],
  [{ tag: ["seat:1", "seat:2"] }, "CLI-UNKNOWN no event has the tag seat:2"],
  [{ correlation: "1" }, "CLI-UNKNOWN the log has no correlation 1"],
])("a question that found nothing and asked for %j: %s", async (asked, expected) => {
  expect(await verdict(asked)).toBe(expected);
});
