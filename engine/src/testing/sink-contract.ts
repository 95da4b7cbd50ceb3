/** What every `SinkConnector` must do. A connector's test calls {@link sinkContract} and adds only what is peculiar to it. */
import fc from "fast-check";
import { expect } from "vitest";
import type { InputSlice } from "../behavior/committed-behavior.ts";
import { reportOf } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import { Positions } from "../frame/positions.ts";
import type { SinkConnector } from "../sink/sink-connector.ts";
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

/** One target, however many connectors come and go in front of it. */
export interface SinkHarness {
  /** A new connector in front of the same target, as a new incarnation of a node makes it. */
  connect(): SinkConnector;
  /** The messages that the target holds now, in order. */
  content(): Promise<readonly Json[]>;
  /** Breaks what connectors hold now; they may come back at once. Absent: there is nothing that could be broken. */
  breakConnections?(): void;
  close(): Promise<void>;
}

export interface SinkContractOptions {
  /** How many histories with crashes are tried. Default 15. */
  readonly runs?: number;
  /** Of how many steps at most, each of which may connect. Default 12. */
  readonly stepsMax?: number;
  /** Messages of the largest delivery. Default 1100, more than connectors send before they wait for answers. */
  readonly many?: number;
  /** Why there is nothing to be made again while it has nothing to deliver. Absent: a connection that is lost comes back by itself. */
  readonly connectionless?: string;
  /** Cases that another suite puts this connector to, and which. */
  readonly elsewhere?: { readonly cases: readonly number[]; readonly where: string };
}

/** Most messages of a step in the crash test. */
const STEP_MAX = 5;
const MANY = 1100;
const ATTEMPTS_MAX = 200;

/** `make` makes a fresh, empty target. */
export function sinkContract(name: string, make: () => Promise<SinkHarness>, options: SinkContractOptions = {}): void {
  registerSuite(`${name} is a sink`, sinkSuite(make, options));
}

/** The cases, for whoever runs them otherwise than as tests. */
export function sinkSuite(
  make: () => Promise<SinkHarness>,
  { runs = 15, stepsMax = 12, many = MANY, connectionless, elsewhere }: SinkContractOptions = {},
): ConnectorSuite {
  const target: Target = async (scope) => {
    const harness = await make();
    scope.onClose(() => harness.close());
    return harness;
  };
  const all = [
    ...deliveringCases(target, many),
    ...crashCases(target, runs, stepsMax),
    ...brokenCases(target, connectionless),
  ];
  return {
    side: "sink",
    cases: all.map((one) =>
      elsewhere?.cases.includes(one.number) === true ? { ...one, run: async () => leaveOut(elsewhere.where) } : one,
    ),
    async declared() {
      const { connect, close } = await make();
      const { guarantee } = connect();
      await close();
      return [guarantee];
    },
  };
}

type Target = (scope: Scope) => Promise<SinkHarness>;

async function opened(scope: Scope, { connect }: SinkHarness, committed?: Json): Promise<SinkConnector> {
  const sink = connect();
  scope.onClose(() => sink.close());
  await sink.open(committed);
  return sink;
}

function deliveringCases(target: Target, many: number): readonly ConnectorCase[] {
  return [
    caseOf(
      1,
      "closing twice, or before it was opened, does no harm, and a connection that is open is shown",
      async (scope) => {
        const sink = (await target(scope)).connect();
        await sink.close();
        await sink.open(undefined);
        await sink.deliver([sliceOf(0, 1)]);
        if (sink.connection !== undefined) expect(sink.connection().state).toBe("up");
        await sink.close();
        await sink.close();
      },
    ),
    caseOf(3, "a delivery of nothing changes nothing", async (scope) => {
      const harness = await target(scope);
      const sink = await opened(scope, harness);
      await sink.deliver([sliceOf(0, 2)]);
      const committed = await sink.deliver([sliceOf(2, 0)]);
      await sink.close();
      const after = await opened(scope, harness, committed);
      await after.deliver([sliceOf(2, 1)]);
      await after.close();
      expect(await harness.content()).toEqual(messages(0, 3));
    }),
    caseOf(4, "a delivery may be larger than what is sent before answers are waited for", async (scope) => {
      const harness = await target(scope);
      const sink = await opened(scope, harness);
      await sink.deliver([sliceOf(0, many - 10), sliceOf(many - 10, 10)]);
      await sink.close();
      const held = await harness.content();
      expect(held.length).toBe(many);
      expect(held).toEqual(messages(0, many));
    }),
    caseOf(5, "what was delivered is in the target, in order, once the delivery is answered", async (scope) => {
      const harness = await target(scope);
      const sink = await opened(scope, harness);
      await sink.deliver([sliceOf(0, 3), sliceOf(3, 2)]);
      expect(await harness.content()).toEqual(messages(0, 5));
      await sink.deliver([sliceOf(5, 1)]);
      expect(await harness.content()).toEqual(messages(0, 6));
    }),
    caseOf(7, "texts and numbers of every kind arrive unchanged", async (scope) => {
      const harness = await target(scope);
      const sink = await opened(scope, harness);
      const rows = oddRows();
      await sink.deliver([slice(rows, 0)]);
      await sink.close();
      expect(await harness.content()).toEqual(rows);
    }),
    caseOf(8, "the messages of each lane stay in order", async (scope) => {
      const harness = await target(scope);
      const sink = await opened(scope, harness);
      for (let from = 0; from < 4; from += 2)
        await sink.deliver([slice(messages(from, 2), from, "one"), slice(messages(100 + from, 2), from, "two")]);
      await sink.close();
      const held = (await harness.content()) as readonly { readonly id: number }[];
      expect(held.filter(({ id }) => id < 100)).toEqual(messages(0, 4));
      // Two lanes have the same positions, and are told apart all the same.
      expect(held.filter(({ id }) => id >= 100)).toEqual(messages(100, 4));
    }),
    caseOf(9, "what a delivery resolves with is plain data", async (scope) => {
      const sink = await opened(scope, await target(scope));
      const results = [await sink.deliver([sliceOf(0, 3)]), await sink.deliver([sliceOf(3, 1)])];
      await sink.close();
      expect(structuredClone(results)).toEqual(JSON.parse(JSON.stringify(results)));
    }),
    caseOf(21, "a message of 900 000 bytes arrives whole, and its neighbours with it", async (scope) => {
      const harness = await target(scope);
      const sink = await opened(scope, harness);
      const rows = messages(0, 3).map((row, id) => (id === 1 ? { id, name: "é".repeat(LARGE_CHARS), amount: 0 } : row));
      await sink.deliver([slice(rows, 0)]);
      await sink.close();
      const held = await harness.content();
      expect(held.length).toBe(3);
      // Compared by hand: a difference would print all of it.
      expect(held.every((row, i) => JSON.stringify(row) === JSON.stringify(rows[i]))).toBe(true);
    }),
  ];
}

function crashCases(target: Target, runs: number, stepsMax: number): readonly ConnectorCase[] {
  return [
    caseOf(11, "a new connector goes on where the last commit left off", async (scope) => {
      const harness = await target(scope);
      const before = await opened(scope, harness);
      const committed = await before.deliver([sliceOf(0, 4)]);
      await before.close();
      const after = await opened(scope, harness, committed);
      await after.deliver([sliceOf(4, 4)]);
      await after.close();
      expect(await harness.content()).toEqual(messages(0, 8));
    }),
    caseOf(12, "deliveries that were never committed are undone or repeated, as the guarantee says", async (outer) => {
      const steps = fc.array(fc.record({ n: fc.integer({ min: 1, max: STEP_MAX }), isCommitted: fc.boolean() }), {
        maxLength: stepsMax,
      });
      await fc.assert(
        fc.asyncProperty(steps, async (history) => {
          const harness = await target(outer);
          const { guarantee, sent } = await lived(harness, history);
          const held: readonly unknown[] = await harness.content();
          if (guarantee === "at-least-once" || guarantee === "best-effort")
            expect(held).toEqual(expect.arrayContaining(messages(0, sent) as unknown[]));
          else expect(held).toEqual(messages(0, sent));
        }),
        { numRuns: runs },
      );
    }),
    caseOf(24, "what three incarnations delivered and none committed is in the target once", async (scope) => {
      const harness = await target(scope);
      const first = harness.connect();
      if (first.guarantee === "at-least-once" || first.guarantee === "best-effort")
        leaveOut(`it declares ${first.guarantee}`);
      await first.open(undefined);
      const committed = await first.deliver([sliceOf(0, 3)]);
      await first.close();
      for (let incarnation = 0; incarnation < 3; incarnation++) {
        const sink = await opened(scope, harness, committed);
        await sink.deliver([sliceOf(3, 2 + incarnation)]);
        await sink.close();
      }
      expect(await harness.content()).toEqual(messages(0, 7));
    }),
    caseOf(
      24,
      "what a dead incarnation left is cut off or left out, and what it delivers late changes nothing",
      async (scope) => {
        const harness = await target(scope);
        const { guarantee } = harness.connect();
        if (guarantee === "at-least-once" || guarantee === "best-effort") leaveOut(`it declares ${guarantee}`);
        if (guarantee === "offset") await cutBack(scope, harness);
        else await deliveredLate(scope, harness);
      },
    ),
  ];
}

/** One process at a time writes a target that keeps an offset. */
async function cutBack(scope: Scope, harness: SinkHarness): Promise<void> {
  const before = await opened(scope, harness);
  const committed = await before.deliver([sliceOf(0, 2)]);
  await before.deliver([sliceOf(2, 3)]);
  await before.close();
  const after = await opened(scope, harness, committed);
  expect(await harness.content()).toEqual(messages(0, 2));
  await after.deliver([sliceOf(2, 1)]);
  expect(await harness.content()).toEqual(messages(0, 3));
}

async function deliveredLate(scope: Scope, harness: SinkHarness): Promise<void> {
  const dead = await opened(scope, harness);
  await dead.deliver([sliceOf(0, 2)]);
  const alive = await opened(scope, harness);
  const committed = await alive.deliver([sliceOf(0, 2)]);
  // At once, then afterwards, unless it is told that it is dead.
  const told = dead.deliver([sliceOf(2, 2)]).then(
    () => false,
    () => true,
  );
  const more = await patiently(alive, committed, sliceOf(2, 2));
  const isTold = await told;
  expect(await harness.content()).toEqual(messages(0, 4));
  if (!isTold) await dead.deliver([sliceOf(2, 2)]).catch(reportOf);
  expect(await harness.content()).toEqual(messages(0, 4));
  await patiently(alive, more, sliceOf(4, 2));
  expect(await harness.content()).toEqual(messages(0, 6));
}

/** A node that dies between delivery and commit now and then, and whose successor delivers all that is behind the last commit. */
async function lived(
  { connect }: SinkHarness,
  history: readonly { readonly n: number; readonly isCommitted: boolean }[],
): Promise<{ readonly guarantee: SinkConnector["guarantee"]; readonly sent: number }> {
  let sink = connect();
  let committed: Json | undefined;
  let sent = 0;
  await sink.open(undefined);
  for (const { n, isCommitted } of history) {
    const result = await sink.deliver([sliceOf(sent, n)]);
    if (isCommitted) {
      committed = result;
      sent += n;
      continue;
    }
    await sink.close();
    sink = connect();
    await sink.open(committed);
  }
  await sink.deliver([sliceOf(sent, STEP_MAX)]);
  await sink.close();
  return { guarantee: sink.guarantee, sent: sent + STEP_MAX };
}

function brokenCases(target: Target, connectionless: string | undefined): readonly ConnectorCase[] {
  const again =
    connectionless === undefined ? "it makes another, also if it has nothing to deliver," : "it makes another";
  return [
    caseOf(18, `when its connection breaks ${again} and delivers over it, and nothing is left out`, async (scope) => {
      const harness = await target(scope);
      if (harness.breakConnections === undefined) leaveOut("there is nothing to be broken");
      const sink = await opened(scope, harness);
      let committed: Json | undefined;
      for (let from = 0; from < 9; from += 3) {
        committed = await patiently(sink, committed, sliceOf(from, 3));
        if (from < 6 || connectionless !== undefined) harness.breakConnections();
      }
      // The one that comes by itself is lost, too, before anything was delivered over it.
      for (let round = 0; round < 2 && connectionless === undefined; round++) await breakIdle(sink, harness);
      await patiently(sink, committed, sliceOf(9, 1));
      if (sink.connection !== undefined) expect(sink.connection().state).toBe("up");
      const held: readonly unknown[] = await harness.content();
      if (sink.guarantee === "best-effort") return;
      if (sink.guarantee === "at-least-once")
        expect(held).toEqual(expect.arrayContaining(messages(0, 10) as unknown[]));
      else expect(held).toEqual(messages(0, 10));
    }),
  ];
}

async function breakIdle(sink: SinkConnector, harness: SinkHarness): Promise<void> {
  if (sink.connection === undefined) return;
  const before = sink.connection();
  harness.breakConnections?.();
  await isConnectedAgain(before, sink.connection.bind(sink));
}

/** Delivers as a node does: what fails for a while is opened and tried again. */
async function patiently(sink: SinkConnector, committed: Json | undefined, one: InputSlice): Promise<Json> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await sink.deliver([one]);
    } catch (error) {
      if (reportOf(error).kind !== "transient" || attempt > ATTEMPTS_MAX) throw error;
      await sink.open(committed);
    }
  }
}

function messages(from: number, n: number): readonly Json[] {
  return Array.from({ length: n }, (_, i) => ({ id: from + i, name: `név "${from + i}"`, amount: (from + i) / 2 }));
}

function oddRows(): readonly Json[] {
  const amounts = [0, -1, 1e-7, 0.1 + 0.2, 1e21, -1.5e300, 9_007_199_254_740_991, 0.5];
  return ODD_TEXTS.map((name, id) => ({ id, name, amount: amounts[id] ?? 0 }));
}

const sliceOf = (from: number, n: number): InputSlice => slice(messages(from, n), from);

function slice(rows: readonly Json[], from: number, lane = "lane"): InputSlice {
  return { lane, input: 0, batch: new RowBatch(rows), positions: Positions.dense(from, rows.length), late: [] };
}
