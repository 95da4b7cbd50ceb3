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
/** A server whose graphs have these nodes, a row a page, and whose log has one other stream. */
const api = {
  async get(path: string, { cursor, stream }: Query = {}): Promise<Json> {
    if (path === "/api/v1/events") return { events: stream === "order-7" ? [{}] : [] };
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
])("a question that found nothing and asked for %j: %s", async (asked, expected) => {
  expect(await verdict(asked)).toBe(expected);
});
