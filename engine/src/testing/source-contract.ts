/**
 * What every `SourceConnector` must do. A connector's test calls {@link sourceContract} and adds only what is peculiar to it.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { reportOf } from "../errors.ts";
import type { Json, JsonObject } from "../frame/json.ts";
import type { SourceConnector } from "../source/source-connector.ts";
import {
  type ConnectorCase,
  type ConnectorSuite,
  caseOf,
  LARGE_CHARS,
  leaveOut,
  ODD_TEXTS,
  registerSuite,
  type Scope,
} from "./connector/cases.ts";
import { isConnectedAgain } from "./connector/connected-again.ts";
import { marksBehind, openFirst, takeAll } from "./connector/taking.ts";

export interface SourceHarness {
  readonly connector: SourceConnector;
  /** What the source holds, in order, if that differs in form from what was asked for. Default: the same. */
  readonly messages?: readonly Json[];
  /** Puts rows behind those there are. Absent where nothing can be added, or where the source ends. */
  add?(rows: readonly JsonObject[]): Promise<void>;
  /** Breaks what the connector holds now; it may come back at once. Absent: there is nothing that could be broken. */
  breakConnections?(): void;
  close(): Promise<void>;
}

/** Makes sources on fresh storage. */
export interface SourceMaker {
  /** A source that holds these rows: `{ id, name, amount, ok }`, where `amount` may be null. */
  holding(rows: readonly JsonObject[]): Promise<SourceHarness>;
  /** A source of the rows with inputs between them that are no messages; how many of these. Absent where there is no such thing. */
  holdingBad?(rows: readonly JsonObject[]): Promise<SourceHarness & { readonly bad: number }>;
  /** Why there is nothing to be made again while nothing is read. Absent: a connection that is lost comes back by itself. */
  readonly connectionless?: string;
  /** A source of something that does not exist. Absent where a source always exists. */
  missing?(): Promise<SourceHarness>;
  /** From how many positions the rest is read. Default 20. */
  readonly positions?: number;
}

const POSITIONS = 20;

export function sourceContract(name: string, maker: SourceMaker): void {
  registerSuite(`${name} is a source`, sourceSuite(maker));
}

/** The cases, for whoever runs them otherwise than as tests. */
export function sourceSuite(maker: SourceMaker): ConnectorSuite {
  const making = new SourceMaking(maker);
  return {
    side: "source",
    cases: [...readingCases(making), ...replayCases(making), ...failingCases(making), ...liveCases(making)],
    async declared() {
      const { connector, close } = await maker.holding([]);
      await close();
      const said = Object.entries(connector.capabilities).filter(([, is]) => is);
      return [...said.map(([capability]) => capability), "pause"];
    },
  };
}

interface Holding {
  readonly harness: SourceHarness;
  readonly source: SourceConnector;
  readonly rows: readonly Json[];
}

class SourceMaking {
  readonly maker: SourceMaker;

  constructor(maker: SourceMaker) {
    this.maker = maker;
  }

  async holding(scope: Scope, rows: readonly JsonObject[]): Promise<Holding> {
    const harness = await this.maker.holding(rows);
    scope.onClose(() => harness.close());
    return { harness, source: harness.connector, rows: harness.messages ?? rows };
  }
}

function readingCases(making: SourceMaking): readonly ConnectorCase[] {
  return [
    caseOf(
      1,
      "a reader is opened, shows a connection that is up if it has one, and may be closed twice",
      async (scope) => {
        const { source } = await making.holding(scope, sampleRows(3));
        const reader = await openFirst(source, -1);
        await reader.read(5);
        if (source.connection !== undefined) expect(source.connection().state).toBe("up");
        await reader.close();
        await reader.close();
      },
    ),
    caseOf(2, "closing ends a read in progress, and a closed reader is idle", async (scope) => {
      const { source } = await making.holding(scope, sampleRows(20));
      const reader = await openFirst(source, -1);
      const reading = reader.read(5);
      await reader.close();
      expect(["object", "string"]).toContain(typeof (await reading));
      expect(await reader.read(5)).toBe("idle");
    }),
    caseOf(3, "a source without messages has nothing to give", async (scope) => {
      const { source } = await making.holding(scope, []);
      expect((await takeAll(source, -1, 10)).messages).toEqual([]);
    }),
    caseOf(4, "batches are no larger than asked for", async (scope) => {
      const { source, rows } = await making.holding(scope, sampleRows(50));
      for (const most of [1, 8]) {
        const { sizes, messages } = await takeAll(source, -1, most);
        expect(Math.max(...sizes)).toBeLessThanOrEqual(most);
        expect(messages.length).toBe(rows.length);
      }
    }),
    caseOf(5, "it gives every message once, in order, and then ends if it is bounded", async (scope) => {
      const { source, rows } = await making.holding(scope, sampleRows(100));
      const { messages, rejected } = await takeAll(source, -1, 7);
      expect(messages.map(([, row]) => row)).toEqual(rows);
      expect(rejected).toEqual([]);
    }),
    caseOf(
      6,
      "every message has a position above the last one's, of a source that is the same when it is opened again",
      async (scope) => {
        const { source } = await making.holding(scope, sampleRows(50));
        const { messages, identity } = await takeAll(source, -1, 8);
        expect(messages.every(([pos], i) => Number.isSafeInteger(pos) && pos > (messages[i - 1]?.[0] ?? -1))).toBe(
          true,
        );
        expect((await takeAll(source, -1, 50)).identity).toBe(identity);
      },
    ),
    caseOf(7, "texts and numbers of every kind come unchanged", async (scope) => {
      const { source, rows } = await making.holding(scope, oddRows());
      expect((await takeAll(source, -1, 7)).messages.map(([, row]) => row)).toEqual(rows);
    }),
    caseOf(8, "the messages of each key come in order, in whichever partition", async (scope) => {
      const { source, rows } = await making.holding(scope, sampleRows(40));
      const taken: Json[] = [];
      for (const partition of await source.partitions())
        taken.push(...(await takeAll(source, -1, 9, [], partition)).messages.map(([, row]) => row));
      const ofKey = (all: readonly Json[], key: number): readonly Json[] => all.filter((_, i) => i % KEYS === key);
      const place = new Map(rows.map((row, i) => [JSON.stringify(row), i]));
      for (let key = 0; key < KEYS; key++) {
        const came = taken.filter((row) => (place.get(JSON.stringify(row)) ?? -1) % KEYS === key);
        expect(came).toEqual(ofKey(rows, key));
      }
    }),
  ];
}

function replayCases(making: SourceMaking): readonly ConnectorCase[] {
  return [
    caseOf(10, "the same positions give the same messages, whatever is asked for at once", async (scope) => {
      const { source } = await making.holding(scope, sampleRows(60));
      if (!source.capabilities.replay) leaveOut("it does not declare replay");
      const { messages: whole, marks } = await takeAll(source, -1, 1000);
      const again = await takeAll(source, -1, 3);
      expect(again.messages).toEqual(whole);
      expect(again.marks).toEqual(marks);
    }),
    caseOf(11, "any position is followed by the rest", async (scope) => {
      const { source } = await making.holding(scope, sampleRows(60));
      if (!source.capabilities.replay) leaveOut("it does not declare replay");
      const { messages: whole, marks } = await takeAll(source, -1, 1000);
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: -1, max: 59 }),
          fc.integer({ min: 1, max: 70 }),
          async (index, messagesMax) => {
            const after = index < 0 ? -1 : (whole[index]?.[0] as number);
            const rest = await takeAll(source, after, messagesMax, marks);
            expect(rest.messages).toEqual(whole.slice(index + 1));
            expect(rest.marks).toEqual(marksBehind(marks, after));
          },
        ),
        { numRuns: making.maker.positions ?? POSITIONS },
      );
    }),
    caseOf(15, "what is not asked for is not lost: one message is read, others only later", async (scope) => {
      const { source, rows } = await making.holding(scope, sampleRows(20));
      const slow = await takeAll(source, -1, 1, [], undefined, { pauseTurns: 20 });
      expect(slow.messages.map(([, row]) => row)).toEqual(rows);
      expect(Math.max(...slow.sizes)).toBe(1);
    }),
    caseOf(21, "a message of 900 000 bytes comes whole, and its neighbours with it", async (scope) => {
      const large = sampleRows(3).map((row, i) => (i === 1 ? { ...row, name: "é".repeat(LARGE_CHARS) } : row));
      const { source, rows } = await making.holding(scope, large);
      const { messages } = await takeAll(source, -1, 10);
      expect(messages.length).toBe(rows.length);
      // Compared by hand: a difference would print all of it.
      expect(messages.every(([, row], i) => JSON.stringify(row) === JSON.stringify(rows[i]))).toBe(true);
    }),
  ];
}

function failingCases({ maker }: SourceMaking): readonly ConnectorCase[] {
  const poison = caseOf(
    20,
    "what is no message is rejected with its place, and the rest flows, wherever reading begins",
    async (scope) => {
      const rows = sampleRows(30);
      const harness = (await maker.holdingBad?.(rows)) ?? leaveOut("whatever it holds is a message");
      scope.onClose(() => harness.close());
      const { messages, rejected, marks } = await takeAll(harness.connector, -1, 4);
      expect(messages.map(([, row]) => row)).toEqual(harness.messages ?? rows);
      expect(rejected.length).toBe(harness.bad);
      for (const { error, pos } of rejected) {
        const report = reportOf(error);
        expect([report.kind, report.code]).toEqual(["rejected", expect.stringMatching(/^MSG-(?:DECODE|SIZE)$/)]);
        expect(report.place).toBeDefined();
        expect(Number.isSafeInteger(pos)).toBe(true);
      }
      const middle = messages[14]?.[0] as number;
      const rest = await takeAll(harness.connector, middle, 3, marks);
      expect(rest.messages).toEqual(messages.slice(15));
      expect(rest.rejected.map(({ pos }) => pos)).toEqual(rejected.map(({ pos }) => pos).filter((pos) => pos > middle));
    },
  );
  const absence = caseOf(22, "what does not exist is a transient failure that says so", async (scope) => {
    const harness = (await maker.missing?.()) ?? leaveOut("it always exists");
    scope.onClose(() => harness.close());
    const failure = await takeAll(harness.connector, -1, 10).catch(reportOf);
    expect(failure).toMatchObject({ code: "SOURCE-MISSING", kind: "transient", place: expect.anything() });
  });
  return [poison, absence];
}

function liveCases(making: SourceMaking): readonly ConnectorCase[] {
  return [
    caseOf(
      18,
      "when its connection breaks it is opened again at its position, and leaves nothing out",
      async (scope) => {
        const { harness, source, rows } = await making.holding(scope, sampleRows(40));
        if (harness.breakConnections === undefined) leaveOut("there is nothing to be broken");
        const { messages } = await takeAll(source, -1, 4, [], undefined, {
          between: (batches) => batches % 4 === 2 && batches < 20 && harness.breakConnections?.(),
        });
        expect(messages.map(([, row]) => row)).toEqual(rows);
        expect(messages.every(([pos], i) => pos > (messages[i - 1]?.[0] ?? -1))).toBe(true);
      },
    ),
    caseOf(
      18,
      "a connection that is lost while nothing is read is made again, and is shown as it is",
      async (scope) => {
        const { harness, source } = await making.holding(scope, sampleRows(8));
        if (harness.breakConnections === undefined) leaveOut("there is nothing to be broken");
        if (source.connection === undefined) leaveOut("it shows no connection");
        const { connectionless } = making.maker;
        if (connectionless !== undefined) leaveOut(connectionless);
        const reader = await openFirst(source, -1);
        scope.onClose(() => reader.close());
        await reader.read(4);
        // The one that comes by itself is lost, too, before anything was read over it.
        for (let round = 0; round < 2; round++) {
          const before = source.connection();
          harness.breakConnections();
          await isConnectedAgain(before, () => source.connection?.() ?? before);
        }
      },
    ),
    caseOf(
      23,
      "one that is bounded ends, again and again; one that is not goes on with what comes later",
      async (scope) => {
        const { harness, source, rows } = await making.holding(scope, sampleRows(10));
        const reader = await openFirst(source, -1);
        scope.onClose(() => reader.close());
        const got: Json[] = [];
        const until = async (count: number): Promise<unknown> => {
          for (let reads = 0; reads < READS_MAX; reads++) {
            const read = await reader.read(4);
            if (read === "end" || (read === "idle" && got.length >= count)) return read;
            if (read !== "idle") got.push(...read.batch.rows());
          }
          return "nothing";
        };
        if (source.capabilities.bounded) {
          expect([await until(Number.POSITIVE_INFINITY), await reader.read(4)]).toEqual(["end", "end"]);
          expect(got).toEqual(rows);
          return;
        }
        expect(await until(10)).toBe("idle");
        expect(got).toEqual(rows);
        if (harness.add === undefined) return;
        const more = sampleRows(13).slice(10);
        await harness.add(more);
        await until(13);
        expect(got.slice(10).length).toBe(more.length);
      },
    ),
  ];
}

const KEYS = 3;
/** Each waits a moment of its own. */
const READS_MAX = 500;

function sampleRows(n: number): readonly JsonObject[] {
  return Array.from({ length: n }, (_, i) => ({
    id: i,
    name: `név, "${i % 7}"`,
    amount: i % 5 === 0 ? null : i / 4,
    ok: i % 2 === 0,
  }));
}

function oddRows(): readonly JsonObject[] {
  const amounts = [0, -1, 1e-7, 0.1 + 0.2, 1_234_567_890.125, -1e-300, 9_007_199_254_740_991, null];
  return ODD_TEXTS.map((name, id) => ({ id, name, amount: amounts[id] ?? null, ok: id % 3 === 0 }));
}
