import type { CommittedBehavior, Json, MillraceError, WorkerLauncher, WorkerProcess } from "@millrace/engine";
import { payloadError, RowBatch } from "@millrace/engine";
import { SeededRandom, type VirtualEnv, virtualEnv } from "@millrace/engine/testing";
import { describe, expect, it } from "vitest";
import { FRESH, RecordingDraft, sliceOf } from "../../../test/recording-draft.ts";
import { expectedOf, type SimulatedRow, simulatedWorkers } from "../../../test/simulated-worker.ts";
import { type BatchPayloads, INLINE_PAYLOADS } from "../calculator-payloads.ts";
import { encodeFrame, FrameReader, type WorkerFrame } from "./frame.ts";
import { processCalculator } from "./process-calculator.ts";
import { ProcessCalculatorHost } from "./process-calculator-host.ts";

const ACTS = ["throw", "exit", "hang", "rubbish", "surplus", "leak"] as const;

function rowsOf(random: SeededRandom, n: number): SimulatedRow[] {
  return Array.from({ length: n }, (_, i) => {
    const act = random.u32() % 12 === 0 ? ACTS[random.u32() % ACTS.length] : undefined;
    return act === undefined ? { n: i } : { n: i, act };
  });
}

interface Simulated {
  readonly env: VirtualEnv;
  readonly behavior: CommittedBehavior;
}

async function simulated(seed: number, stateful: boolean, kills: number, credit = 64): Promise<Simulated> {
  const env = virtualEnv(seed);
  return opened(env, simulatedWorkers({ env, stateful, kills, credit }), 12);
}

async function opened(env: VirtualEnv, launcher: WorkerLauncher, attemptsMax: number): Promise<Simulated> {
  const command = { command: "simulated", args: [], env: {} };
  const launch = { launcher, command, file: "/total.sim", config: null, graph: "g", node: "total" };
  const behavior = processCalculator({ ...launch, deadlineMs: 200, attemptsMax }, env);
  const signal = AbortSignal.abort();
  const opening = behavior.open?.({
    graph: "g",
    node: "total",
    revision: 1,
    output: FRESH,
    request: async () => 0,
    fail: () => undefined,
    signal,
  });
  await env.until(Promise.resolve(opening));
  return { env, behavior };
}

/** One step; what came out, with codes in the places of those that failed. */
async function step({ env, behavior }: Simulated, rows: readonly SimulatedRow[], recorded?: readonly Json[]) {
  const draft = new RecordingDraft(recorded);
  behavior.take(draft, sliceOf(new RowBatch(rows as unknown as Json[])));
  await env.until(Promise.resolve(behavior.finish?.(draft)));
  const given: Json[] = [...draft.out];
  for (const failure of draft.rejected.toSorted((a, b) => Number(a.split(" ")[0]) - Number(b.split(" ")[0]))) {
    const [index, code = ""] = failure.split(" ");
    given.splice(Number(index), 0, code);
  }
  return { draft, given };
}

/** A row that ends its process may have been met by a kill from outside the last time: it is given up all the same. */
function blamed(outcome: Json, row: SimulatedRow | undefined): Json {
  const isFatal = row?.act !== undefined && row.act !== "throw";
  return isFatal && outcome === "CALC-EXIT" ? (expectedOf([row], false).given[0] as Json) : outcome;
}

const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1);

describe.each([true, false])("whatever becomes of the process, of a calculator with state: %s,", (stateful) => {
  it.each(SEEDS)("every row has its outcome, and the state is that of the rows that passed (seed %i)", async (seed) => {
    const random = new SeededRandom(seed);
    const run = await simulated(seed, stateful, 0.15, 1 + (random.u32() % 64));
    let total = 0;
    for (let steps = 0; steps < 4; steps++) {
      const rows = rowsOf(random, 1 + (random.u32() % 60));
      const { draft, given } = await step(run, rows);
      const expected = expectedOf(rows, stateful, total);
      if (random.u32() % 4 === 0) run.behavior.discard();
      else {
        run.behavior.seal();
        if (stateful && expected.total !== total) expect(draft.events).toEqual([{ all: expected.total }]);
        total = expected.total;
      }
      expect(given.map((got, i) => blamed(got, rows[i]))).toEqual(
        expected.given.map((want, i) => blamed(want, rows[i])),
      );
      if (stateful) expect(run.behavior.snapshot?.() ?? 0).toBe(total);
    }
    await run.env.until(Promise.resolve(run.behavior.close?.()));
  });
});

it("a new owner goes on from the logged changes, and from a snapshot", async () => {
  const first = await simulated(1, true, 0);
  const { draft } = await step(first, [{ n: 5 }, { n: 6 }]);
  first.behavior.seal();
  for (const restore of ["fold", "snapshot"]) {
    const next = await simulated(2, true, 0);
    if (restore === "fold") for (const event of draft.events) next.behavior.fold(event);
    else next.behavior.restore?.(first.behavior.snapshot?.() ?? null);
    next.behavior.seal();
    expect((await step(next, [{ n: 1 }])).given).toEqual([{ n: 1, total: 12 }]);
  }
});

it("a step that is executed again takes its results from the log, and gives the same changes", async () => {
  const live = await simulated(3, true, 0.3);
  const again = await simulated(4, true, 1);
  for (const rows of [[{ n: 1 }, { n: 2, act: "throw" as const }], [{ n: 3 }]]) {
    const done = await step(live, rows);
    live.behavior.seal();
    const replayed = await step(again, rows, done.draft.recorded);
    again.behavior.seal();
    expect([replayed.given, replayed.draft.events]).toEqual([done.given, done.draft.events]);
  }
  expect(again.behavior.snapshot?.()).toBe(4);
});

it("counts a row once whose result could not be stored, when it is calculated again", async () => {
  const env = virtualEnv(5);
  const { launch } = simulatedWorkers({ env, stateful: true, kills: 0, credit: 64 });
  const reader = new FrameReader();
  const launcher: WorkerLauncher = {
    launch: (command, { data, ended }) =>
      launch(command, {
        ended,
        data(bytes) {
          for (const frame of reader.read(bytes))
            data(encodeFrame(frame.is === "result" ? { ...frame, drafts: true } : frame));
        },
      }),
  };
  const command = { command: "simulated", args: [], env: {} };
  const limits = { deadlineMs: 200, loadMs: 1000, memoryMib: 64, residentMibMax: 64, cpuMs: 1000 };
  const program = { launcher, command, file: "/total.sim", config: null, graph: "g", node: "total" };
  const host = new ProcessCalculatorHost({ ...program, limits, attemptsMax: 2 }, env);
  const at = { at: 0, graph: "g", node: "total" };
  const run = (payloads: BatchPayloads) => env.until(host.run([{ n: 5 }, { n: 6 }], at, payloads));
  await env.until(host.open());
  const full = payloadError("PAYLOAD-FAILED", "no room");
  await expect(run({ ...INLINE_PAYLOADS, take: () => Promise.reject(full) })).rejects.toBe(full);
  host.state.discard();
  expect((await run(INLINE_PAYLOADS)).at(-1)).toEqual({ out: [{ n: 6, total: 11 }] });
  host.state.seal();
  expect(host.state.snapshot()).toBe(11);
  await env.until(host.close());
});

it("a row that ends its process each time is given up after as many attempts", async () => {
  const run = await simulated(6, false, 0);
  const { draft, given } = await step(run, [{ n: 1 }, { n: 2, act: "exit" }, { n: 3 }]);
  expect([given, draft.attempts]).toEqual([[{ n: 1 }, "CALC-EXIT", { n: 3 }], 13]);
});

it("what leaked goes with its process: the rows behind it pass", async () => {
  const run = await simulated(9, false, 0);
  const { draft, given } = await step(run, [{ n: 1 }, { n: 2, act: "leak" }, { n: 3 }, { n: 4 }]);
  expect([given, draft.attempts]).toEqual([[{ n: 1 }, "CALC-OOM", { n: 3 }, { n: 4 }], 13]);
});

it.each([0, 100])(
  "that is closed while it calculates, %i ms on, ends its process and starts no other",
  async (afterMs) => {
    const env = virtualEnv(8);
    const { launch } = simulatedWorkers({ env, stateful: false, kills: 0, credit: 64 });
    const lives = { started: 0, ended: 0 };
    const launcher: WorkerLauncher = {
      launch(command, listener) {
        lives.started++;
        const ended: typeof listener.ended = (end) => {
          lives.ended++;
          listener.ended(end);
        };
        return launch(command, { data: (bytes) => listener.data(bytes), ended });
      },
    };
    const command = { command: "simulated", args: [], env: {} };
    const program = { launcher, command, file: "/total.sim", config: null, graph: "g", node: "total" };
    const behavior = processCalculator({ ...program, deadlineMs: 5000 }, env);
    const { signal } = new AbortController();
    await env.until(
      Promise.resolve(
        behavior.open?.({
          graph: "g",
          node: "total",
          revision: 1,
          output: FRESH,
          request: async () => 0,
          fail: () => undefined,
          signal,
        }),
      ),
    );
    behavior.take(new RecordingDraft(), sliceOf(new RowBatch([{ n: 1 }, { n: 2, act: "hang" }, { n: 3 }])));
    const calculating = Promise.resolve(behavior.finish?.(new RecordingDraft()));
    const outcome = calculating.then(
      () => "calculated",
      ({ code }: MillraceError) => code,
    );
    await env.advance(afterMs);
    await env.until(Promise.resolve(behavior.close?.()));
    await env.advance(60_000);
    expect(lives).toEqual({ started: 1, ended: 1 });
    expect(await outcome).toBe("CALC-START");
  },
);

/** Worker processes that neither hear nor obey what is in `deaf`; what else they are told, but for rows, is in `told` with its time. */
function deafWorkers(env: VirtualEnv, deaf: readonly string[]) {
  const told: (readonly [what: string, atMs: number])[] = [];
  const { launch } = simulatedWorkers({ env, stateful: false, kills: 0, credit: 64 });
  const hears = (what: string): boolean => {
    if (["cancel", "ping", "SIGTERM", "SIGKILL"].includes(what)) told.push([what, env.clock.monotonic()]);
    return !deaf.includes(what);
  };
  const launcher: WorkerLauncher = {
    async launch(command, listener): Promise<WorkerProcess> {
      const worker = await launch(command, listener);
      return {
        pid: worker.pid,
        output: worker.output,
        usage: () => undefined,
        send: (bytes) => {
          if ([...new FrameReader().read(bytes)].every(({ is }) => hears(is))) worker.send(bytes);
        },
        signal: (name) => hears(name) && worker.signal(name),
      };
    },
  };
  return { told, launcher };
}

it("a row that never ends is asked to stop, then to end, and then ended", async () => {
  const env = virtualEnv(10);
  const { told, launcher } = deafWorkers(env, ["cancel", "SIGTERM"]);
  const run = await opened(env, launcher, 1);
  expect((await step(run, [{ n: 1, act: "hang" }])).given).toEqual(["CALC-TIMEOUT"]);
  const [stop = 0, end = 0, kill = 0] = told.map(([, atMs]) => atMs);
  expect(told.map(([what]) => what)).toEqual(["cancel", "SIGTERM", "SIGKILL"]);
  expect([end - stop, kill - end]).toEqual([250, 250]);
});

it.each([
  ["answers pings is left alone", [], []],
  ["is silent is ended, and another goes on", ["ping"], ["SIGKILL"]],
] as const)("a process without work that %s", async (_, deaf, signals) => {
  const env = virtualEnv(11);
  const { told, launcher } = deafWorkers(env, deaf);
  const run = await opened(env, launcher, 1);
  await env.advance(4500);
  expect(told.length).toBeGreaterThanOrEqual(3);
  expect(told.flatMap(([what]) => (what === "ping" ? [] : [what]))).toEqual(signals);
  expect((await step(run, [{ n: 1 }])).given).toEqual([{ n: 1 }]);
  expect(run.behavior.describe?.()).toMatchObject({ restarts: signals.length });
});

/** Worker processes that say more before some frames. */
function talkativeWorkers(env: VirtualEnv, more: (frame: WorkerFrame) => WorkerFrame | undefined): WorkerLauncher {
  const { launch } = simulatedWorkers({ env, stateful: false, kills: 0, credit: 64 });
  return {
    launch(command, { data, ended }) {
      const reader = new FrameReader();
      const heard = (bytes: Uint8Array): void => {
        for (const frame of reader.read(bytes) as Iterable<WorkerFrame>) {
          const first = more(frame);
          if (first !== undefined) data(encodeFrame(first));
          data(encodeFrame(frame));
        }
      };
      return launch(command, { data: heard, ended });
    },
  };
}

it.each([
  ["answers pings that there were not", () => ({ is: "pong", n: 1 }) as const, "pong that nobody asked for"],
  ["takes its leave unasked", () => ({ is: "bye", reason: "" }) as const, "bye that nobody asked for"],
  [
    "has results of no row",
    (result: Extract<WorkerFrame, { is: "result" }>) => ({ ...result, out: [], end: false }),
    "a result of no row",
  ],
] as const)("a process that %s is ended, for it could do so without an end", async (_, more, why) => {
  const env = virtualEnv(12);
  const launcher = talkativeWorkers(env, (frame) => (frame.is === "result" ? more(frame) : undefined));
  const run = await opened(env, launcher, 1);
  expect((await step(run, [{ n: 1 }])).given).toEqual(["CALC-PROTOCOL"]);
  expect(run.behavior.describe?.()).toMatchObject({ lastFailure: expect.stringContaining(why) });
});

it("a process that greets twice does not load, for it could greet without an end", async () => {
  const env = virtualEnv(13);
  const launcher = talkativeWorkers(env, (frame) => (frame.is === "hello" ? frame : undefined));
  const loaded = { code: "CALC-LOAD", message: expect.stringContaining("a second hello") };
  await expect(opened(env, launcher, 1)).rejects.toMatchObject(loaded);
});

it("tells what it knows of itself", async () => {
  const run = await simulated(7, true, 0);
  await step(run, [{ n: 1 }, { n: 2, act: "exit" }, { n: 3 }]);
  expect(run.behavior.describe?.()).toMatchObject({
    isolation: "process",
    healthy: true,
    stateful: true,
    failures: 13,
    restarts: 13,
    lastFailure: expect.stringContaining("CALC-EXIT"),
  });
});
