/** Sources that join what waits into one step, over the real runtime and a log that takes little at once. */
import {
  type CommittedBehavior,
  engineError,
  type Feed,
  type FeedIntake,
  GraphRuntime,
  type Json,
  RowBatch,
  stepOf,
} from "@millrace/engine";
import { SimulatedLog, type VirtualEnv, virtualEnv } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { feedSource } from "./feed-source.ts";
import { field } from "./field.ts";
import { type HttpPush, httpPush } from "./http-push.ts";
import { window } from "./window/window.ts";

const APPEND_BYTES_MAX = 40_000;
const big = (letter: string): string => letter.repeat(9000);

const firstOf = (row: Json): string => String(row).slice(0, 4);

interface Stand {
  readonly env: VirtualEnv;
  readonly storage: SimulatedLog;
  readonly delivered: Json[];
  readonly runtime: GraphRuntime;
  /** Another runtime over the same log. */
  again(): Promise<GraphRuntime>;
}

async function started(source: () => CommittedBehavior, middle?: () => CommittedBehavior): Promise<Stand> {
  const env = virtualEnv("too large");
  const storage = new SimulatedLog({ env, random: env.random.fork("log"), appendBytesMax: APPEND_BYTES_MAX });
  const delivered: Json[] = [];
  const sink: CommittedBehavior = {
    kind: "committed",
    ports: [],
    take: (_, slice) => void delivered.push(...slice.batch.rows()),
    seal() {},
    discard() {},
    fold() {},
  };
  const program = {
    graph: "g",
    revision: 1,
    codeVersion: "1",
    durability: "durable",
    nodes: [
      { name: "in", kind: "source", role: "committed", isSource: true, make: source },
      ...(middle === undefined ? [] : [{ name: "middle", kind: "window", role: "committed", make: middle } as const]),
      { name: "out", kind: "sink", role: "committed", isSink: true, make: () => sink },
    ],
    edges:
      middle === undefined
        ? [{ from: "in", to: "out" }]
        : [
            { from: "in", to: "middle" },
            { from: "middle", to: "out" },
          ],
  } as const;
  const again = async (): Promise<GraphRuntime> => {
    const runtime = new GraphRuntime(program, { env, log: storage.open(env), host: "host" });
    await env.until(runtime.start());
    return runtime;
  };
  return { env, storage, delivered, runtime: await again(), again };
}

/** How many messages of the source are in the log. */
function emittedBy({ storage }: Stand): number {
  const steps = storage.events.filter(({ type, stream }) => type === "Step" && stream === "g/in").map(stepOf);
  return steps.flatMap(({ emitted }) => emitted.map(({ count }) => count)).reduce((sum, count) => sum + count, 0);
}

function deadIn({ storage }: Stand): (readonly [code: string, input: Json | undefined])[] {
  const steps = storage.events.filter(({ type, stream }) => type === "Step" && stream === "g/in").map(stepOf);
  return steps.flatMap(({ dead }) => dead.map(({ error, input }) => [error.code, input] as const));
}

test("pushes that are too large together are taken one after the other, and only what is too large by itself is refused", async () => {
  const stand = await started(() => httpPush());
  const push = stand.runtime.behavior("in") as HttpPush;
  const letters = [..."abcdefgh"];
  const pushes = [push.accept(["first"]), ...letters.map((letter) => push.accept([big(letter)]))];
  pushes.push(push.accept(letters.map(big)), push.accept(["last"]));
  const outcomes = await stand.env.until(Promise.allSettled(pushes));
  expect(outcomes.map(({ status }) => status).join()).toBe(`${"fulfilled,".repeat(9)}rejected,fulfilled`);
  expect(outcomes[9]).toMatchObject({ reason: { code: "LOG-TOO-LARGE" } });
  await stand.env.advance(5000);
  expect(stand.delivered.map(firstOf)).toEqual(["firs", ...letters.map((letter) => letter.repeat(4)), "last"]);
});

test("a window whose groups are too large together goes out in several steps", async () => {
  const hour = 3_600_000;
  const source: CommittedBehavior = {
    kind: "committed",
    ports: ["out"],
    open({ request }) {
      for (let part = 0; part < 40; part++) {
        const rows = Array.from({ length: 100 }, (_, i) => ({ key: `key ${part} ${i}`, at: i }));
        void request((draft) => {
          draft.emit("out", new RowBatch(rows));
          if (part === 39) draft.advanceOutput(Number.POSITIVE_INFINITY);
        });
      }
    },
    take() {},
    seal() {},
    discard() {},
    fold() {},
  };
  const by = new Map([["key", field("key")]]);
  const counted = (): CommittedBehavior =>
    window({ sizeMs: hour, time: field("at"), by, compute: new Map([["n", { fn: "count" }]]), partBytes: 20_000 });
  const stand = await started(() => source, counted);
  await stand.env.advance(20_000);
  expect(stand.delivered.map((row) => (row as { key?: string }).key)).toEqual(
    Array.from({ length: 4000 }, (_, i) => `key ${Math.floor(i / 100)} ${i % 100}`),
  );
  const steps = stand.storage.events.filter(({ type, stream }) => type === "Step" && stream === "g/middle").map(stepOf);
  expect(steps.filter(({ emitted }) => emitted.length > 0).length).toBeGreaterThan(5);
  expect(steps.flatMap(({ dead }) => dead)).toEqual([]);
});

test("messages of a feed that are too large together are taken in several steps; one that is too large alone is a dead letter", async () => {
  let intake: FeedIntake | undefined;
  const feed: Feed = {
    async run(opened) {
      intake = opened;
    },
    connection: () => {
      throw engineError("SOURCE-MISSING", "not asked for");
    },
  };
  const stand = await started(() => feedSource(feed));
  const settled: string[] = [];
  const rows = ["first", ...[..."abcdefgh"].map(big), "huge".repeat(20_000), "last"];
  for (const row of rows) intake?.take(row, { settle: () => settled.push(firstOf(row)) });
  await stand.env.advance(5000);
  expect(stand.delivered.map(firstOf)).toEqual(rows.map(firstOf).filter((row) => row !== "huge"));
  expect(deadIn(stand)).toEqual([["LOG-TOO-LARGE", null]]);
  expect(settled).toEqual(rows.map(firstOf));
});

test("a group that is too large for a step is in the log once, also when the node ended between its parts", async () => {
  const group = [...[..."abcdefgh"].map(big), "huge".repeat(20_000), big("i"), "last"];
  const cursors: (Json | undefined)[] = [];
  let settled = 0;
  const feed: Feed = {
    async run(intake) {
      cursors.push(intake.cursor);
      const items = (intake.cursor === undefined ? group : ["next"]).map((message) => ({ message }));
      intake.takeGroup({ items, cursor: `behind ${items.length}`, settle: () => void settled++ });
    },
    connection: () => {
      throw engineError("SOURCE-MISSING", "not asked for");
    },
  };
  const stand = await started(() => feedSource(feed));
  const { env, runtime } = stand;
  while (emittedBy(stand) === 0) await env.advance(1);
  await env.until(runtime.stop());
  expect(settled).toBe(0);
  expect(emittedBy(stand)).toBeLessThan(group.length - 1);
  const second = await stand.again();
  await env.advance(5000);
  await env.until(second.stop());
  expect(cursors).toEqual([undefined, undefined]);
  expect(settled).toBe(1);
  const once = group.map(firstOf).filter((row) => row !== "huge");
  expect(emittedBy(stand)).toBe(once.length);
  expect(stand.delivered.map(firstOf)).toEqual(once);
  expect(deadIn(stand)).toEqual([["LOG-TOO-LARGE", null]]);
  await stand.again();
  await env.advance(5000);
  expect(cursors[2]).toBe(`behind ${group.length}`);
  expect(stand.delivered.map(firstOf)).toEqual([...once, "next"]);
});

test("pushes beyond the bytes that may wait are refused, however few rows they are, and one alone never is", async () => {
  const stand = await started(() => httpPush({ waitingBytesMax: 30_000 }));
  const push = stand.runtime.behavior("in") as HttpPush;
  const pushes = ["a", "b", "c", "d"].map((letter) => push.accept([big(letter)]));
  const outcomes = await stand.env.until(Promise.allSettled(pushes));
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "rejected"]);
  expect(outcomes[3]).toMatchObject({ reason: { code: "PUSH-FULL", kind: "transient" } });
  await stand.env.until(push.accept([big("e")]));
  await stand.env.until(push.accept([big("f")]));
});
