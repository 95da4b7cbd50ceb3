import { text } from "node:stream/consumers";
import { beforeEach, expect, it } from "vitest";
import { askedServer } from "../../../test/asked-server.ts";
import { listDeadLetters, redriveDeadLetters } from "./dlq.ts";

const AT_ONCE = 500;
const LETTERS = 700;
const idOf = (n: number): string => n.toString(16).padStart(32, "0");

/** How many ids each request to send again had. */
const sent: number[] = [];
beforeEach(() => {
  sent.length = 0;
});
/** As a server that lists and sends again no more than so many at once. */
const server = askedServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://server");
  const answer = (status: number, value: object): void => {
    response.writeHead(status).end(JSON.stringify(value));
  };
  if (request.method === "POST") {
    const { ids } = JSON.parse(await text(request)) as { readonly ids: readonly string[] };
    sent.push(ids.length);
    answer(ids.length > AT_ONCE ? 400 : 200, { redriven: ids.length });
  } else if (pathname !== "/api/v1/dlq") answer(200, { graph: "g" });
  else {
    const [limit, from] = [Number(searchParams.get("limit")), Number(searchParams.get("cursor"))];
    const end = Math.min(LETTERS, from + limit);
    const rows = Array.from({ length: end - from }, (_, i) => ({ id: idOf(from + i) }));
    answer(limit > AT_ONCE ? 400 : 200, { asOf: 1, rows, next: end < LETTERS ? String(end) : null });
  }
});

it.each([
  [1000, LETTERS, null],
  [600, 600, "600"],
  [20, 20, "20"],
])("lists %i at most, though the server gives fewer at once", async (limit, count, next) => {
  await listDeadLetters({ url: server.url, limit, json: true });
  const { rows, ...rest } = JSON.parse(server.shown) as { readonly rows: readonly { readonly id: string }[] };
  expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: count }, (_, i) => idOf(i)));
  expect(rest).toEqual({ asOf: 1, next });
});

it("sends as many again as are named, each once", async () => {
  const ids = Array.from({ length: LETTERS }, (_, i) => idOf(i));
  await redriveDeadLetters([...ids, idOf(3)], { url: server.url, reason: "" });
  expect(sent).toEqual([AT_ONCE, LETTERS - AT_ONCE]);
  expect(server.shown).toBe("700 of 700 sent again\n");
});
