/** The cases of a feed that waits for receipts, and of one that does not. */
import { expect, vi } from "vitest";
import type { Json } from "../../frame/json.ts";
import type { Feed } from "../../source/feed.ts";
import { type ConnectorCase, caseOf, LARGE_CHARS, leaveOut, ODD_TEXTS, type Scope } from "./cases.ts";
import type { FeedHarness } from "./feed-harness.ts";
import { bodies, Listener, messages, quiet, WAIT } from "./listener.ts";

export interface FeedCaseOptions {
  /** What is no JSON has no id there, so its sender cannot be told that it came. */
  readonly jsonOnly?: boolean;
  /** Messages have the fields `id` and `name`, and no others. Default false. */
  readonly isFlat?: boolean;
  /** What is settled is not sent again. Otherwise it is, until all that was sent with it is settled, too. */
  readonly settlesAlone?: boolean;
  /** What is settled is told to the sender in the order in which it came. */
  readonly settlesInOrder?: boolean;
  /** The broker is known to send more than it was told once something is settled. Default false. */
  readonly overruns?: boolean;
}

/** A fresh, empty queue. */
type Queue = (scope: Scope) => Promise<FeedHarness>;

/** Of feeds whatever they promise: what is sent while one listens comes. */
export function listeningCases(queue: Queue, { jsonOnly = false, isFlat = false }: FeedCaseOptions) {
  const heard = async (scope: Scope, sent: readonly string[]): Promise<Listener> => {
    const harness = await queue(scope);
    const listener = new Listener(scope, harness.connect(UNSETTLED_MAX));
    await listener.isUp();
    await harness.send(sent);
    await listener.until(sent.length);
    return listener;
  };
  return [
    caseOf(
      1,
      "it shows its connection, ends when it is told to, and settling after that does no harm",
      async (scope) => {
        const harness = await queue(scope);
        const feed = harness.connect(10);
        expect(feed.connection().state).toBe("idle");
        const listener = new Listener(scope, feed);
        await listener.isUp();
        await harness.send(bodies(0, 3));
        await listener.until(3);
        await listener.stop();
        listener.settle(0, 3);
        expect(feed.connection().state).toBe("idle");
      },
    ),
    caseOf(2, "it ends when it is told to with messages on their way", async (scope) => {
      const harness = await queue(scope);
      const listener = new Listener(scope, harness.connect(5));
      await listener.isUp();
      await harness.send(bodies(0, 40));
      await listener.until(1);
      await listener.stop();
      const then = listener.taken.length;
      await harness.send(bodies(40, 1));
      expect(listener.taken.length).toBe(then);
    }),
    caseOf(7, "texts of every kind come unchanged", async (scope) => {
      const inner = (text: string): object => (isFlat ? {} : { inner: { list: [text, null, true, -0.5, []] } });
      const rows = ODD_TEXTS.map((name, id) => ({ id, name, ...inner(name) }));
      const listener = await heard(
        scope,
        rows.map((row) => JSON.stringify(row)),
      );
      expect(sorted(listener.messages)).toEqual(rows);
    }),
    caseOf(20, "what is no JSON is rejected with place and reason, between its neighbours", async (scope) => {
      if (jsonOnly) leaveOut("a body is always a message");
      const { taken } = await heard(scope, ['{"id":0}', "{", '{"id":1}']);
      expect(taken).toMatchObject([
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
      const { messages: came } = await heard(
        scope,
        rows.map((row) => JSON.stringify(row)),
      );
      // Compared by hand: a difference would print all of it.
      expect(sorted(came).map((row) => JSON.stringify(row) === JSON.stringify(rows[row.id]))).toEqual([
        true,
        true,
        true,
      ]);
    }),
  ];
}

/** Of one that is told of nothing: what comes while it does not listen is lost. */
export function lossyCases(queue: Queue): readonly ConnectorCase[] {
  return [
    caseOf(5, "what was sent while it listens is handed over once", async (scope) => {
      const harness = await queue(scope);
      const listener = new Listener(scope, harness.connect(UNSETTLED_MAX));
      await listener.isUp();
      await harness.send(bodies(0, 40));
      await listener.until(40);
      await quiet();
      expect(sorted(listener.messages)).toEqual(messages(0, 40));
    }),
    caseOf(18, "when its connection breaks it listens again", async (scope) => {
      const harness = await queue(scope);
      if (harness.breakConnections === undefined) leaveOut("there is nothing to be broken");
      const listener = new Listener(scope, harness.connect(UNSETTLED_MAX));
      await listener.isUp();
      const { connects } = listener.feed.connection();
      harness.breakConnections();
      await vi.waitFor(() => expect(listener.feed.connection().connects).toBeGreaterThan(connects), WAIT);
      await listener.isUp();
      await harness.send(bodies(7, 1));
      await listener.until(1);
    }),
  ];
}

const PAD = "x".repeat(400);
const large = (from: number, n: number): Json[] => Array.from({ length: n }, (_, i) => ({ id: from + i, name: PAD }));

/** Of one that nobody keeps anything for, and that does not read while `most` are unsettled. */
export function holdingCases(queue: Queue, most: number): readonly ConnectorCase[] {
  const overwhelmed = async (scope: Scope, sent: number): Promise<Listener> => {
    const harness = await queue(scope);
    const listener = new Listener(scope, harness.connect(most));
    await listener.isUp();
    const sending = harness.send(large(0, sent).map((message) => JSON.stringify(message)));
    await listener.until(1);
    await quiet();
    // What came in one piece with the last one is taken, too: some hundreds of this size.
    expect(listener.taken.length).toBeLessThanOrEqual(most * 1.5);
    await settling(listener, sent);
    await sending;
    return listener;
  };
  return [
    caseOf(8, "the messages of each key come in order", async (scope) => {
      const harness = await queue(scope);
      const listener = new Listener(scope, harness.connect(most));
      await listener.isUp();
      for (let from = 0; from < 30; from += 10) await harness.send(bodies(from, 10));
      await settling(listener, 30);
      for (let key = 0; key < 3; key++)
        expect(listener.messages.filter((_, i) => i % 3 === key)).toEqual(
          messages(0, 30).filter((_, i) => i % 3 === key),
        );
    }),
    caseOf(15, "while nothing is settled no more comes than may be, and what waits is not lost", async (scope) => {
      const { messages: came, lost } = await overwhelmed(scope, most * 2);
      expect(came).toEqual(large(0, most * 2));
      expect(lost).toEqual([]);
    }),
    caseOf(17, "four times as much as may be unsettled comes whole", async (scope) => {
      expect((await overwhelmed(scope, most * 4)).messages).toEqual(large(0, most * 4));
    }),
  ];
}

/** Of one that waits for receipts. */
export function waitingCases(queue: Queue, options: FeedCaseOptions): readonly ConnectorCase[] {
  const { jsonOnly = false, settlesAlone = true, settlesInOrder = false, overruns = false } = options;
  const listen = (scope: Scope, harness: FeedHarness, unsettledMax = UNSETTLED_MAX): Listener =>
    new Listener(scope, harness.connect(unsettledMax));
  return [
    caseOf(
      5,
      "it hands over what was sent, once, before and while it listens; in order, if it says so",
      async (scope) => {
        const harness = await queue(scope);
        await harness.send(bodies(0, 20));
        const listener = listen(scope, harness);
        await listener.until(20);
        await harness.send(bodies(20, 20));
        await listener.until(40);
        const inOrder = listener.feed.capabilities?.ordered === true ? listener.messages : sorted(listener.messages);
        expect(inOrder).toEqual(messages(0, 40));
        expect(listener.lost).toEqual([]);
      },
    ),
    caseOf(8, "the messages of each key come in order, however few at a time", async (scope) => {
      const harness = await queue(scope);
      if (harness.connect(1).capabilities?.ordered !== true) leaveOut("it declares no order");
      await harness.send(bodies(0, 30));
      const listener = listen(scope, harness, 4);
      await settling(listener, 30);
      for (let key = 0; key < 3; key++)
        expect(listener.messages.filter((_, i) => i % 3 === key)).toEqual(
          messages(0, 30).filter((_, i) => i % 3 === key),
        );
    }),
    caseOf(12, "what was handed over and never settled comes again, all of it, as often as it takes", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 10));
      for (let life = 0; life < 2; life++) {
        const dying = listen(scope, harness);
        await dying.until(10);
        await dying.stop();
      }
      const last = listen(scope, harness);
      await last.until(10);
      expect(sorted(last.messages)).toEqual(messages(0, 10));
    }),
    caseOf(13, "what was not settled is sent again, and only that, by the same ids", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 30));
      const first = listen(scope, harness);
      await first.until(30);
      first.settle(0, 18);
      await harness.send(bodies(30, 1));
      await first.until(31);
      await quiet();
      await first.stop();
      const from = settlesAlone ? 18 : 0;
      const second = listen(scope, harness);
      await second.until(31 - from);
      await quiet();
      expect(sorted(second.messages)).toEqual(messages(from, 31 - from));
      expect(idsOf(second).sort()).toEqual(idsOf(first).slice(from).sort());
      second.settle(0, 31 - from);
      await quiet();
      await second.stop();
      const third = listen(scope, harness);
      await harness.send(bodies(31, 1));
      await third.until(1);
      expect(third.messages).toEqual(messages(31, 1));
    }),
    caseOf(14, "what is settled before what came earlier does not settle that", async (scope) => {
      if (settlesInOrder) leaveOut("the sender is told in order");
      if (!settlesAlone) leaveOut("what is settled together is settled as a whole");
      const harness = await queue(scope);
      await harness.send(bodies(0, 10));
      const first = listen(scope, harness);
      await first.until(10);
      for (let i = 9; i > 0; i -= 2) first.settle(i, i + 1);
      await harness.send(bodies(10, 1));
      await first.until(11);
      await quiet();
      await first.stop();
      const second = listen(scope, harness);
      await second.until(6);
      await quiet();
      const settled = new Set(first.messages.filter((_, i) => i % 2 === 1));
      expect(sorted(second.messages)).toEqual(
        messages(0, 11).filter((row) => ![...settled].some((one) => same(one, row))),
      );
    }),
    ...heldCases(queue, listen, overruns),
    ...brokenCases(queue, listen),
    caseOf(20, "what is no JSON is settled like its neighbours, and does not come again", async (scope) => {
      if (jsonOnly) leaveOut("a body is always a message");
      const harness = await queue(scope);
      await harness.send(['{"id":0}', "{", '{"id":1}']);
      const first = listen(scope, harness);
      await first.until(3);
      first.settle(0, 3);
      await quiet();
      await first.stop();
      await harness.send(['{"id":2}']);
      const second = listen(scope, harness);
      await second.until(1);
      expect(second.messages).toEqual([{ id: 2 }]);
    }),
  ];
}

type Listen = (scope: Scope, harness: FeedHarness, unsettledMax?: number) => Listener;

function heldCases(queue: Queue, listen: Listen, overruns: boolean): readonly ConnectorCase[] {
  return [
    caseOf(15, "while nothing is settled nothing more comes, and what waits is not lost", async (scope) => {
      const harness = await queue(scope);
      await harness.send(bodies(0, 30));
      const listener = listen(scope, harness, 10);
      await listener.until(10);
      await quiet();
      expect(listener.taken.length).toBe(10);
      await settling(listener, 30);
      expect(sorted(listener.messages)).toEqual(messages(0, 30));
    }),
    caseOf(
      16,
      "one that may hold no more gets the same again when it has ended, and no more than that",
      async (scope) => {
        const harness = await queue(scope);
        await harness.send(bodies(0, 30));
        const full = listen(scope, harness, 10);
        await full.until(10);
        await full.stop();
        const again = listen(scope, harness, 10);
        await again.until(10);
        await quiet();
        expect(again.taken.length).toBe(10);
        await settling(again, 30);
        expect(sorted(again.messages)).toEqual(messages(0, 30));
      },
    ),
    caseOf(17, "ten times as much as may be unsettled comes whole, and never more than that at once", async (scope) => {
      const harness = await queue(scope);
      const listener = listen(scope, harness, 10);
      await listener.isUp();
      const sending = harness.send(bodies(0, 100));
      let settled = 0;
      while (settled < 100) {
        await listener.until(settled + 1);
        const taken = listener.taken.length;
        if (!overruns) expect(taken - settled).toBeLessThanOrEqual(10);
        listener.settle(settled, taken);
        settled = taken;
      }
      await sending;
      expect(sorted(listener.messages)).toEqual(messages(0, 100));
    }),
  ];
}

function brokenCases(queue: Queue, listen: Listen): readonly ConnectorCase[] {
  return [
    caseOf(18, "when its connection breaks it listens again, and nothing is left out", async (scope) => {
      const harness = await queue(scope);
      if (harness.breakConnections === undefined) leaveOut("there is nothing to be broken");
      const listener = listen(scope, harness);
      for (let round = 0; round < 3; round++) {
        await harness.send(bodies(round * 5, 5));
        await vi.waitFor(() => expect(distinct(listener)).toEqual(messages(0, (round + 1) * 5)), WAIT);
        listener.settle(0, listener.taken.length);
        harness.breakConnections();
      }
      await listener.isUp();
    }),
    caseOf(
      19,
      "what is not settled when its connection breaks is settled late, or comes again, and is never lost",
      async (scope) => {
        const harness = await queue(scope);
        if (harness.breakConnections === undefined) leaveOut("there is nothing to be broken");
        await harness.send(bodies(0, 6));
        const listener = listen(scope, harness);
        await listener.until(6);
        harness.breakConnections();
        listener.settle(0, 6);
        await harness.send(bodies(6, 1));
        await vi.waitFor(() => {
          listener.settle(0, listener.taken.length);
          expect(distinct(listener)).toEqual(messages(0, 7));
        }, WAIT);
        await quiet();
        listener.settle(0, listener.taken.length);
        await quiet();
        await listener.stop();
        const next = listen(scope, harness);
        await harness.send(bodies(7, 1));
        await vi.waitFor(() => expect(distinct(next).at(-1)).toEqual(messages(7, 1)[0]), WAIT);
      },
    ),
  ];
}

const UNSETTLED_MAX = 100;

async function settling(listener: Listener, count: number): Promise<void> {
  let settled = 0;
  while (settled < count) {
    await listener.until(settled + 1);
    const taken = listener.taken.length;
    listener.settle(settled, taken);
    settled = taken;
  }
}

const idsOf = ({ taken }: Listener): string[] => taken.map(({ receipt }) => receipt.id ?? "");
const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** By their ids. */
function sorted(rows: readonly unknown[]): { readonly id: number }[] {
  return [...(rows as readonly { readonly id: number }[])].sort((one, other) => one.id - other.id);
}

const distinct = (listener: Listener): unknown[] => [
  ...new Map(sorted(listener.messages).map((row) => [row.id, row])).values(),
];

/** What a feed declares, by name. */
export const declaredOf = (feed: Feed): string[] =>
  Object.entries(feed.capabilities ?? {}).flatMap(([capability, is]) => (is === true ? [capability] : []));
