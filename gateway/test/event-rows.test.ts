import { expect, test } from "vitest";
import type { EventHead, EventPage } from "../console/src/api.ts";
import { type EventRows, KEPT_MAX, NO_ROWS, withNewer, withNewest, withOlder } from "../console/src/live/event-rows.ts";

/** Events at these positions. */
const at = (...positions: number[]): EventHead[] => positions.map((position) => ({ position }) as EventHead);
const page = (positions: number[], next: string | null = "more"): EventPage =>
  ({ end: 0, events: at(...positions), next }) as unknown as EventPage;
const rows = (positions: number[], next: string | null = "old"): EventRows => ({
  events: at(...positions),
  next,
  skipped: 0,
});
const positions = ({ events }: EventRows): number[] => events.map(({ position }) => position);

test("what came while the first page was on its way is not lost", () => {
  const came = withNewer(NO_ROWS, at(9, 10, 11), 0);
  expect(withNewest(came, page([10, 9, 8]), -1)).toEqual(rows([11, 10, 9, 8], "more"));
});

test("a page that reaches what was shown fills the gap above it", () => {
  const came = withNewer(rows([3, 2, 1]), at(7), 0);
  expect(withNewest(came, page([6, 5, 4, 3]), 3)).toEqual(rows([7, 6, 5, 4, 3, 2, 1]));
});

test("what was shown goes where more has happened since than a page holds", () => {
  const came = withNewer(rows([3, 2, 1]), at(9), 0);
  expect(withNewest(came, page([8, 7, 6]), 3)).toEqual(rows([9, 8, 7, 6], "more"));
});

test("a page asked for by rows that are gone is not put below others", () => {
  expect(positions(withOlder(rows([3, 2], "a"), page([1, 0], null), "a"))).toEqual([3, 2, 1, 0]);
  expect(positions(withOlder(rows([9, 8], "b"), page([1, 0], null), "a"))).toEqual([9, 8]);
});

test("rows that were let go of are not followed by what came after them", () => {
  const full = rows(Array.from({ length: KEPT_MAX }, (_, i) => KEPT_MAX - i));
  const { events, next } = withNewer(full, at(KEPT_MAX + 1), 0);
  expect([events.length, events.at(-1)?.position, next]).toEqual([KEPT_MAX, 2, null]);
});
