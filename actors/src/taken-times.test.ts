/** Event times of sources that cannot be read again, over the real runtime and a simulated log. */
import {
  type CommittedBehavior,
  type ConnectionState,
  type Feed,
  type FeedIntake,
  GraphRuntime,
  type Json,
  parseAggregate,
  type StepRecord,
  stepOf,
} from "@millrace/engine";
import { SimulatedLog, type VirtualEnv, virtualEnv } from "@millrace/engine/testing";
import { describe, expect, test } from "vitest";
import { feedSource } from "./feed-source.ts";
import { field } from "./field.ts";
import { type HttpPush, httpPush } from "./http-push.ts";
import { window } from "./window/window.ts";

const IDLE_MS = 10_000;
const SIZE_MS = 1000;

type Sources = Readonly<Record<string, (env: VirtualEnv) => CommittedBehavior>>;

/** Sources that lead to one window; what leaves it, and what came late. */
class Stand {
  readonly env = virtualEnv("taken times");
  readonly storage: SimulatedLog;
  readonly windows: Json[] = [];
  readonly late: Json[] = [];
  readonly #sources: Sources;
  runtime: GraphRuntime;

  constructor(sources: Sources, appendBytesMax = 1_000_000) {
    this.#sources = sources;
    this.storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log"), appendBytesMax });
    this.runtime = this.#runtime();
  }

  async start(): Promise<this> {
    await this.env.until(this.runtime.start());
    return this;
  }

  /** Another incarnation of everything, over the same log. */
  async restart(): Promise<void> {
    await this.env.until(this.runtime.stop());
    this.runtime = this.#runtime();
    await this.start();
  }

  push(node: string, ...rows: readonly Json[]): Promise<number> {
    return this.env.until((this.runtime.behavior(node) as HttpPush).accept(rows));
  }

  stepsOf(node: string): StepRecord[] {
    return this.storage.events.filter(({ type, stream }) => type === "Step" && stream === `g/${node}`).map(stepOf);
  }

  #runtime(): GraphRuntime {
    const names = Object.keys(this.#sources);
    const program = {
      graph: "g",
      revision: 1,
      codeVersion: "1",
      durability: "durable",
      nodes: [
        ...Object.entries(this.#sources).map(
          ([name, make]) =>
            ({ name, kind: "source", role: "committed", isSource: true, make: () => make(this.env) }) as const,
        ),
        { name: "window", kind: "window", role: "committed", make: counted },
        { name: "windows", kind: "sink", role: "committed", isSink: true, make: () => into(this.windows) },
        { name: "late", kind: "sink", role: "committed", isSink: true, make: () => into(this.late) },
      ],
      edges: [
        ...names.map((from, input) => ({ from, to: "window", input })),
        { from: "window", to: "windows" },
        { from: "window", port: "late", to: "late" },
      ],
    } as const;
    return new GraphRuntime(program, { env: this.env, log: this.storage.open(this.env), host: "host" });
  }
}

const counted = (): CommittedBehavior =>
  window({
    sizeMs: SIZE_MS,
    time: field("at"),
    by: new Map(),
    compute: new Map([["n", parseAggregate("count()")]]),
    late: "port",
  });

function into(rows: Json[]): CommittedBehavior {
  return {
    kind: "committed",
    ports: [],
    take: (_, slice) => void rows.push(...slice.batch.rows()),
    seal() {},
    discard() {},
    fold() {},
  };
}

const timed = (env: VirtualEnv) => ({ field: "at", boundMs: 100, idleMs: IDLE_MS, env });
const pushed = (env: VirtualEnv): CommittedBehavior => httpPush({ eventTime: timed(env) });
const at = (...times: readonly Json[]): Json[] => times.map((time) => ({ at: time }));
const counts = (rows: readonly Json[]): unknown =>
  rows.map((row) => {
    const { window_start, n } = row as { window_start: string; n: number };
    return [Date.parse(window_start), n];
  });

describe("what is pushed with an event time", () => {
  test("closes windows; what comes behind a closed one is late, in the same step too", async () => {
    const stand = await new Stand({ in: pushed }).start();
    await stand.push("in", ...at(100, 900, 1500, 800, 5000, 2000));
    await stand.push("in", ...at(4950, 3000, 6200));
    await stand.env.advance(1000);
    expect(counts(stand.windows)).toEqual([
      [0, 2],
      [1000, 1],
      [4000, 1],
      [5000, 1],
    ]);
    expect(stand.late).toEqual(at(800, 2000, 3000));
    expect(stand.stepsOf("in").map(({ out, emitted }) => [out.watermark, emitted.map((one) => one.late)])).toEqual([
      [
        4900,
        [
          [
            { pos: 3, watermark: 1400 },
            { pos: 5, watermark: 4900 },
          ],
        ],
      ],
      [6100, [[{ pos: 7, watermark: 4900 }]]],
    ]);
  });

  test("goes on after a restart where its last step left the watermark", async () => {
    const stand = await new Stand({ in: pushed }).start();
    await stand.push("in", ...at(5000));
    await stand.restart();
    await stand.push("in", ...at(3000, 4950));
    const [, step] = stand.stepsOf("in");
    expect(step?.emitted.map(({ late }) => late)).toEqual([[{ pos: 1, watermark: 4900 }]]);
    expect(step?.out).toEqual({ watermark: 4900, idle: false });
    await stand.env.advance(1000);
    expect(stand.late).toEqual(at(3000));
  });

  test("becomes a dead letter without one, and the rest keeps its place", async () => {
    const stand = await new Stand({ in: pushed }).start();
    await stand.push("in", { at: "soon" }, ...at(5000), 7, ...at(1000));
    const [step] = stand.stepsOf("in");
    expect(step?.dead.map(({ error, input, pos }) => [error.code, input, pos])).toEqual([
      ["MSG-TIME", { at: "soon" }, 0],
      ["MSG-TIME", 7, 1],
    ]);
    expect(step?.emitted.map(({ count, late }) => [count, late])).toEqual([[2, [{ pos: 1, watermark: 4900 }]]]);
  });

  test("moves no watermark when its step is refused, and is as late in parts as it is in one", async () => {
    const big = (time: number): Json => ({ at: time, text: `${time}`.repeat(2300) });
    const rows = [1000, 2000, 1500, 3000, 2500, 4000].map(big);
    const stand = await new Stand({ in: pushed }, 40_000).start();
    const { accept } = stand.runtime.behavior("in") as HttpPush;
    await stand.env.until(Promise.all(rows.map((row) => accept([row]))));
    const refused = stand.push("in", ...Array.from({ length: 9 }, (_, i) => big(9000 + i)));
    await expect(refused).rejects.toMatchObject({ code: "LOG-TOO-LARGE" });
    await stand.push("in", big(3950));
    const late = stand.stepsOf("in").flatMap(({ emitted }) => emitted.flatMap((one) => one.late));
    expect(late).toEqual([
      { pos: 2, watermark: 1900 },
      { pos: 4, watermark: 2900 },
    ]);
    expect(stand.stepsOf("in").at(-1)?.out.watermark).toBe(3900);
  });
});

describe("a source that nothing is pushed to", () => {
  test("holds nobody's windows back once it is idle, after a restart too, and is late by itself when it wakes", async () => {
    const stand = await new Stand({ quiet: pushed, busy: pushed }).start();
    await stand.push("quiet", ...at(1500));
    await stand.push("busy", ...at(5500));
    await stand.env.advance(IDLE_MS / 2);
    expect(counts(stand.windows)).toEqual([]);
    await stand.push("busy", ...at(6500));
    await stand.env.advance(IDLE_MS - 1);
    expect(counts(stand.windows)).toEqual([
      [1000, 1],
      [5000, 1],
    ]);
    expect(stand.stepsOf("quiet").map(({ out }) => out.idle)).toEqual([false, true]);
    await stand.restart();
    await stand.env.advance(2 * IDLE_MS);
    await stand.push("busy", ...at(7500));
    await stand.env.advance(2000);
    expect(counts(stand.windows)).toContainEqual([6000, 1]);
    expect(stand.stepsOf("quiet")).toHaveLength(2);
    // Behind its own watermark, behind that of the window, and ahead of both.
    await stand.push("quiet", ...at(1000, 4000, 8500));
    await stand.env.advance(1000);
    expect(stand.late).toEqual(at(1000, 4000));
    expect(stand.stepsOf("quiet").at(-1)).toMatchObject({
      out: { watermark: 8400, idle: false },
      emitted: [{ late: [{ pos: 1, watermark: 1400 }] }],
    });
  });

  test("is not idle while its feed cannot be reached, nor kept from it by a cursor that moves", async () => {
    let intake: FeedIntake | undefined;
    let state: ConnectionState = "backing-off";
    const feed: Feed = {
      run: (opened) => {
        intake = opened;
        return new Promise(() => undefined);
      },
      connection: () => ({ name: "f", state, endpoint: null, reason: "", sinceMs: 0, connects: 0, failures: 0 }),
    };
    const stand = await new Stand({ fed: (env) => feedSource(feed, { eventTime: timed(env) }) }).start();
    await stand.env.advance(5 * IDLE_MS);
    expect(stand.stepsOf("fed")).toEqual([]);
    state = "up";
    await stand.env.advance(IDLE_MS / 2);
    expect(stand.stepsOf("fed")).toEqual([]);
    for (let i = 0; i < 6; i++) {
      intake?.takeGroup({ items: [], cursor: i });
      await stand.env.advance(IDLE_MS / 5);
    }
    expect(stand.stepsOf("fed").filter(({ out }) => out.idle).length).toBeGreaterThan(0);
    expect(stand.stepsOf("fed").at(-1)?.out.idle).toBe(true);
    intake?.takeGroup({ items: at(1000).map((message) => ({ message })), cursor: 7 });
    await stand.env.advance(1000);
    expect(stand.stepsOf("fed").at(-1)?.out).toEqual({ watermark: 900, idle: false });
  });

  test("is what it was before without an event time: silent", async () => {
    const stand = await new Stand({ in: () => httpPush() }).start();
    await stand.env.advance(5 * IDLE_MS);
    expect(stand.stepsOf("in")).toEqual([]);
  });
});
