import type { EventDocument } from "@millrace/gateway";
import { expect, it } from "vitest";
import { askedServer } from "../../../test/asked-server.ts";
import { type TracedEvent, trace, treesOf } from "./trace.ts";

const idOf = (n: number): string => n.toString(16).padStart(32, "0");

/** One event of a chain, each the consequence of the one before. */
function link(position: number): EventDocument {
  const cause = Math.max(0, position - 1);
  return { position, id: idOf(position), causationId: idOf(cause), timeMs: 0, type: "T", stream: "s" } as EventDocument;
}

const CHAIN = Array.from({ length: 100_000 }, (_, position) => link(position));

/** Positions from a root downwards. */
function down(root: TracedEvent | undefined): number[] {
  const found: number[] = [];
  for (let at = root; at !== undefined; at = at.consequences[0]) found.push(at.position);
  return found;
}

it("puts a chain of any length into trees that are no deeper than can be followed, and says what they follow", () => {
  const roots = treesOf(CHAIN);
  expect(roots).toHaveLength(1000);
  expect(roots[0]).not.toHaveProperty("follows");
  expect(roots.slice(1).map(({ follows }) => follows)).toEqual(Array.from({ length: 999 }, (_, i) => 100 * i + 99));
  expect(roots.flatMap(down)).toEqual(CHAIN.map(({ position }) => position));
  expect(JSON.parse(JSON.stringify(roots))).toHaveLength(1000);
});

/** A server with a chain that is longer than what is shown. */
const server = askedServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://server");
  if (pathname === "/api/v1/events/0") return void response.end(JSON.stringify(link(0)));
  const from = Number(searchParams.get("cursor"));
  const events = Array.from({ length: 1000 }, (_, i) => link(from + i));
  response.end(JSON.stringify({ begin: 0, end: 1_000_000, events, next: String(from + 1000) }));
});

it("shows the first events of a cause with very many consequences, and says that there are more", async () => {
  await trace("0", { url: server.url });
  const lines = server.shown.trimEnd().split("\n");
  expect(lines).toHaveLength(100_001);
  expect(lines[100]).toContain("#100 1970-01-01T00:00:00.000Z T s@undefined by undefined after #99");
  expect(lines.at(-1)).toContain(
    "the first 100,000 events of correlation undefined, as of position 1000000; there are more",
  );
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(400);
});
