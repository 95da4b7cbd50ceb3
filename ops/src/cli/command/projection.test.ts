import { expect, it } from "vitest";
import { askedServer } from "../../../test/asked-server.ts";
import { queryProjection } from "./projection.ts";

const PROJECTIONS = [
  { name: "board", fields: ["shop", "total"] },
  { name: "new", fields: [] },
];
/** A server none of whose rows passes. */
const server = askedServer(({ url = "" }, response) => {
  const listing = url === "/api/v1/projections";
  response.end(JSON.stringify(listing ? { end: 7, projections: PROJECTIONS } : { asOf: 7, rows: [], next: null }));
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
