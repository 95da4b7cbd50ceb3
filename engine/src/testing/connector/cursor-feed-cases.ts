/** The cases of a feed that keeps a cursor beside what was taken. */
import { expect, vi } from "vitest";
import type { Json } from "../../frame/json.ts";
import { type ConnectorCase, caseOf, LARGE_CHARS, leaveOut, ODD_TEXTS, type Scope } from "./cases.ts";
import type { CursorFeedHarness } from "./feed-harness.ts";
import { bodies, Listener, messages, quiet, WAIT } from "./listener.ts";

export interface CursorFeedCaseOptions {
  /** There, a body is always a message. */
  readonly jsonOnly?: boolean;
  /** The source forgets what is durable, so that it can be gone on with from the newest durable cursor only. Default false. */
  readonly forgetsDurable?: boolean;
  /** How many may be handed over and not settled, after which nothing more comes. Default 1000. */
  readonly unsettledMax?: number;
}

type Queue = (scope: Scope) => Promise<CursorFeedHarness>;

const listen = (scope: Scope, harness: CursorFeedHarness, cursor?: Json): Listener =>
  new Listener(scope, harness.connect(), cursor);

async function settling(listener: Listener, count: number): Promise<void> {
  await vi.waitFor(() => {
    listener.settleGroups();
    expect(listener.taken.length).toBeGreaterThanOrEqual(count);
  }, WAIT);
}

/** What a feed hands over with a cursor is settled at once unless a case says otherwise. */
export function cursorCases(queue: Queue, options: CursorFeedCaseOptions): readonly ConnectorCase[] {
  const { jsonOnly = false } = options;
  return [
    caseOf(
      1,
      "it shows its connection, ends when it is told to, and settling after that does no harm",
      async (scope) => {
        const harness = await queue(scope);
        const feed = harness.connect();
        expect(feed.connection().state).toBe("idle");
        const listener = new Listener(scope, feed);
        await listener.isUp();
        await harness.send(bodies(0, 3));
        await listener.until(3);
        await listener.stop();
        listener.settleGroups();
        expect(feed.connection().state).toBe("idle");
      },
    ),
    caseOf(5, "it hands over what was sent, in order, before and while it listens", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 20));
      const listener = listen(scope, harness);
      await settling(listener, 20);
      await harness.send(bodies(20, 20));
      await settling(listener, 40);
      expect(listener.messages).toEqual(messages(0, 40));
      expect(listener.lost).toEqual([]);
    }),
    caseOf(7, "texts of every kind come unchanged", async (scope) => {
      const rows = ODD_TEXTS.map((name, id) => ({ id, name }));
      expect(await heard(scope, queue, rows)).toEqual(rows);
    }),
    caseOf(8, "the messages of each key come in order, of however many steps", async (scope) => {
      const harness = await queue(scope);
      const listener = listen(scope, harness);
      for (let from = 0; from < 12; from += 3) {
        await harness.send(bodies(from, 3));
        await settling(listener, from + 3);
      }
      for (let key = 0; key < 3; key++)
        expect(listener.messages.filter((_, i) => i % 3 === key)).toEqual(
          messages(0, 12).filter((_, i) => i % 3 === key),
        );
    }),
    caseOf(9, "a cursor is plain data", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 3));
      const listener = listen(scope, harness);
      await settling(listener, 3);
      const cursors = listener.groups.map(({ cursor }) => cursor);
      expect(JSON.parse(JSON.stringify(cursors))).toEqual(structuredClone(cursors));
    }),
    ...resumingCases(queue, options),
    caseOf(20, "what is no JSON is rejected with place and reason, between its neighbours", async (scope) => {
      if (jsonOnly) leaveOut("a body is always a message");
      const harness = await queue(scope);
      await harness.send(['{"id":0}', "{", '{"id":1}']);
      const listener = listen(scope, harness);
      await settling(listener, 3);
      expect(listener.taken).toMatchObject([
        { message: { id: 0 } },
        {
          message: "{",
          error: { code: "MSG-DECODE", kind: "rejected", place: { stream: expect.stringMatching(/./) } },
        },
        { message: { id: 1 } },
      ]);
    }),
    caseOf(21, "a large message comes whole, and its neighbours with it", async (scope) => {
      const rows = ["a", "é".repeat(LARGE_CHARS), "b"].map((name, id) => ({ id, name }));
      const came = await heard(scope, queue, rows);
      // Compared by hand: a difference would print all of it.
      expect(came.map((row, i) => JSON.stringify(row) === JSON.stringify(rows[i]))).toEqual([true, true, true]);
    }),
  ];
}

async function heard(scope: Scope, queue: Queue, rows: readonly Json[]): Promise<readonly Json[]> {
  const harness = await queue(scope);
  await harness.send(rows.map((row) => JSON.stringify(row)));
  const listener = listen(scope, harness);
  await settling(listener, rows.length);
  return listener.messages;
}

function resumingCases(
  queue: Queue,
  { unsettledMax = 1000, forgetsDurable = false }: CursorFeedCaseOptions,
): readonly ConnectorCase[] {
  return [
    caseOf(11, "it goes on behind whichever cursor was durable, and repeats nothing before it", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 10));
      const first = listen(scope, harness);
      await settling(first, 10);
      await harness.send(bodies(10, 10));
      await settling(first, 20);
      await first.stop();
      await harness.send(bodies(20, 5));
      let before = 0;
      for (const [i, { items, cursor }] of first.groups.entries()) {
        before += items.length;
        if (forgetsDurable && i < first.groups.length - 1) continue;
        const later = listen(scope, harness, structuredClone(cursor));
        await settling(later, 25 - before);
        await quiet();
        expect(later.messages).toEqual(messages(before, 25 - before));
        await later.stop();
      }
    }),
    caseOf(12, "what was handed over and never durable comes again", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 10));
      const dying = listen(scope, harness);
      await dying.until(1);
      await dying.stop();
      const next = listen(scope, harness);
      await settling(next, 10);
      expect(next.messages).toEqual(messages(0, 10));
    }),
    caseOf(13, "what was not settled comes again, and nothing before it", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 5));
      const first = listen(scope, harness);
      await settling(first, 5);
      const cursor = structuredClone(first.groups.at(-1)?.cursor);
      await harness.send(bodies(5, 5));
      await first.until(6);
      await first.stop();
      const second = listen(scope, harness, cursor);
      await settling(second, 5);
      expect(second.messages).toEqual(messages(5, 5));
    }),
    ...[15, 16, 17].map((number) =>
      caseOf(number as 15 | 16 | 17, HELD[number as 15 | 16 | 17], async (scope) => {
        const harness = await queue(scope);
        if (harness.connect().capabilities?.pause !== true) leaveOut("it does not declare that it can be paused");
        const sent = number === 17 ? unsettledMax * 3 : unsettledMax * 2;
        const listener = listen(scope, harness);
        await harness.send(bodies(0, sent));
        await listener.until(1);
        await quiet();
        // A group that fills what may be unsettled may be the last that still comes.
        expect(listener.taken.length).toBeLessThanOrEqual(unsettledMax * 1.5);
        if (number === 16) {
          const held = listener.messages.slice();
          await listener.stop();
          const again = listen(scope, harness);
          await again.until(held.length);
          expect(again.messages.slice(0, held.length)).toEqual(held);
          await settling(again, sent);
          expect(again.messages).toEqual(messages(0, sent));
          return;
        }
        await settling(listener, sent);
        expect(listener.messages).toEqual(messages(0, sent));
      }),
    ),
    caseOf(18, "it repeats nothing, and leaves nothing out, when its connection breaks", async (scope) => {
      const harness = await queue(scope);
      const listener = listen(scope, harness);
      for (let round = 0; round < 4; round++) {
        await harness.send(bodies(round * 10, 10));
        if (round < 3) harness.breakConnections?.();
        await settling(listener, (round + 1) * 10);
      }
      expect(listener.messages).toEqual(messages(0, 40));
    }),
  ];
}

const HELD = {
  15: "while nothing is settled nothing more comes, and what waits is not lost",
  16: "one that may hold no more gets the same again when it has ended",
  17: "three times as much as may be unsettled comes whole",
} as const;
