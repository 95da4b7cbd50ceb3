import { expect, it } from "vitest";
import { askedServer } from "../../../test/asked-server.ts";
import { listEvents } from "./events.ts";

const EVENTS = 7;
/** A server whose pages are full with two events, as pages of large payloads are. */
const server = askedServer(({ url = "" }, response) => {
  const { searchParams } = new URL(url, "http://server");
  const from = Number(searchParams.get("cursor") ?? 0);
  const end = Math.min(EVENTS, from + 2, from + Number(searchParams.get("limit")));
  const events = Array.from({ length: end - from }, (_, i) => ({
    position: from + i,
    timeMs: 0,
    stream: "s",
    type: "T",
  }));
  response.end(JSON.stringify({ end: EVENTS, events, next: end < EVENTS ? String(end) : null }));
});

it.each([
  [5, "5 events as of position 7; there may be more (--limit, --from)"],
  [20, "7 events as of position 7"],
])(
  "lists as many as are asked for, %i, though pages are shorter, and says whether there are more",
  async (limit, last) => {
    await listEvents({ url: server.url, limit });
    expect(server.shown.trimEnd().split("\n").at(-1)).toBe(last);
  },
);

it("gives them as one object", async () => {
  await listEvents({ url: server.url, limit: 5, json: true });
  const { events, ...rest } = JSON.parse(server.shown) as { readonly events: readonly { readonly position: number }[] };
  expect(events.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4]);
  expect(rest).toEqual({ end: EVENTS, next: "5" });
});
