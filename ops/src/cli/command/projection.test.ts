import { expect, it } from "vitest";
import { askedServer } from "../../../test/asked-server.ts";
import { queryProjection } from "./projection.ts";

const PROJECTIONS = [
  { name: "board", fields: ["shop", "total"] },
  { name: "new", fields: [] },
];
const asked: string[] = [];
/** A server none of whose rows passes; of `long` a page looks at a part. */
const server = askedServer(({ url = "" }, response) => {
  asked.push(url);
  const next = url.includes("/long") && !url.includes("cursor") ? "more" : null;
  const listing = url === "/api/v1/projections";
  response.end(JSON.stringify(listing ? { end: 7, projections: PROJECTIONS } : { asOf: 7, rows: [], next }));
});

const query = (name: string, ...where: string[]): Promise<void> =>
  queryProjection(name, { url: server.url, where, order: "asc", limit: 20, json: true });

it("refuses a condition on a field that no row has ever had", async () => {
  await expect(query("board", "shop=a", "totl=1")).rejects.toMatchObject({
    code: "CLI-UNKNOWN",
    message: "projection board has no field totl; did you mean `total`?",
  });
  expect(server.shown).toBe("");
  await expect(query("board", "shop=a", "shop=b")).rejects.toMatchObject({ code: "CLI-USAGE" });
});

it("answers with no rows where the fields are right, or not known yet", async () => {
  await query("board", "total=1");
  await query("new", "totl=1");
  expect(server.shown).toBe(`${'{"asOf":7,"rows":[],"next":null}\n'.repeat(2)}`);
});

it("asks for all pages as of one position", async () => {
  asked.length = 0;
  const asOf = "2026-01-31T12:00:00Z";
  await queryProjection("long", { url: server.url, order: "asc", asOf, limit: 20, json: true });
  expect(asked.map((url) => new URL(url, server.url).searchParams.get("asOf"))).toEqual([asOf, "7"]);
});
