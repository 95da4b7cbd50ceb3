import {
  engineError,
  type FeedIntake,
  type InputSlice,
  type Json,
  MillraceError,
  Positions,
  RowBatch,
  type SourceReader,
} from "@millrace/engine";
import { SeededRandom, virtualEnv } from "@millrace/engine/testing";
import { describe, expect, test } from "vitest";
import { Connection, type ConnectionDriver } from "./connection.ts";
import { resilientFeed } from "./resilient-feed.ts";
import { resilientSink } from "./resilient-sink.ts";
import { resilientSource } from "./resilient-source.ts";

/** A connection that breaks whenever chance says so. */
class Flaky {
  readonly random: SeededRandom;
  broken = false;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  use(): void {
    if (this.random.chance(0.2)) this.broken = true;
    if (this.broken) throw new Error("broken pipe");
  }
}

function flaky(seed: string): { env: ReturnType<typeof virtualEnv>; connection: Connection<Flaky> } {
  const env = virtualEnv(seed);
  const random = new SeededRandom(seed);
  const driver: ConnectionDriver<Flaky> = {
    connect: async () => {
      if (random.chance(0.4)) throw new Error("refused");
      return new Flaky(random);
    },
    probe: async (connection) => {
      if (connection.broken) throw new Error("broken pipe");
    },
    ended: () => new Promise(() => undefined),
    disconnect: async () => undefined,
  };
  return { env, connection: new Connection({ name: "x", endpoints: ["a", "b"], driver, env }) };
}

const SEEDS = Array.from({ length: 20 }, (_, i) => `seed ${i}`);
const N = 60;

describe("connectors over a connection that breaks", () => {
  test("a source gives every message once, in order, by reading on from its cursor", async () => {
    for (const seed of SEEDS) {
      const { env, connection } = flaky(seed);
      const source = resilientSource(connection, {
        capabilities: { replay: true, ordered: true, bounded: true },
        partitions: ["0"],
        open: async (flakyConnection, _partition, after) => readerOf(flakyConnection, after),
      });
      const reader = await source.open("0", -1);
      const seen: number[] = [];
      let failures = 0;
      for (;;) {
        const read = await env.until(reader.read(5).catch((error: unknown) => error));
        if (read === "end") break;
        if (read instanceof MillraceError) {
          expect(read.kind).toBe("transient");
          failures++;
          await env.advance(read.retryAfterMs ?? 0);
        } else seen.push(...(read as { batch: RowBatch }).batch.rows().map(Number));
      }
      expect(seen).toEqual(Array.from({ length: N }, (_, i) => i));
      expect(failures).toBeGreaterThan(0);
      await reader.close();
      expect(source.connection?.().state).not.toBe("up");
    }
  });

  test("a source that nobody asks shows that its connection is lost, why, and that it is there again; an ended one needs none", async () => {
    const env = virtualEnv("not asked");
    let isUp = true;
    let lose: (reason: unknown) => void = () => undefined;
    const driver = {
      ...ALWAYS_THERE,
      connect: async (): Promise<object> => {
        if (!isUp) throw new Error("refused");
        return {};
      },
      ended: (): Promise<unknown> =>
        new Promise((resolve) => {
          lose = resolve;
        }),
    };
    const source = resilientSource(new Connection({ name: "x", endpoints: ["a"], env, driver }), {
      capabilities: { replay: true, ordered: true, bounded: true },
      partitions: ["0"],
      open: async (_, _partition, after) => readerOf(new Flaky(new SeededRandom("never")), after, false),
    });
    const shown = (): string => `${source.connection?.().state} ${source.connection?.().reason}`.trim();
    const reader = await source.open("0", -1);
    await env.until(reader.read(1));
    expect(shown()).toBe("up");
    isUp = false;
    lose(new Error("reset by peer"));
    await env.settle();
    expect(shown()).toBe("backing-off reset by peer");
    await env.advance(2000);
    expect(shown()).toBe("suspended a: refused");
    isUp = true;
    await env.advance(15_000);
    expect(shown()).toBe("up");
    await env.until(reader.read(N));
    expect([await env.until(reader.read(1)), shown()]).toEqual(["end", "idle"]);
    await env.idle();
    await reader.close();
  });

  test("a sink brings its target to what was committed before it goes on", async () => {
    for (const seed of SEEDS) {
      const { env, connection } = flaky(seed);
      const target: Json[] = [];
      const sink = resilientSink(connection, {
        guarantee: "offset",
        open: async (flakyConnection, committed) => {
          flakyConnection.use();
          target.length = Number(committed ?? 0);
        },
        deliver: async (flakyConnection, slices) => {
          for (const row of slices.flatMap((slice) => slice.batch.rows())) {
            flakyConnection.use();
            target.push(row);
          }
          return target.length;
        },
      });
      await sink.open(undefined);
      for (let i = 0; i < N; ) {
        const done = await env.until(sink.deliver([sliceOf(i)]).catch((error: unknown) => error));
        if (!(done instanceof MillraceError)) i++;
        else await env.advance(done.retryAfterMs ?? 0);
      }
      await sink.close();
      expect(target).toEqual(Array.from({ length: N }, (_, i) => i));
    }
  });
});

test("a sink whose delivery failed is opened again for what is committed, also where its connection is good", async () => {
  const env = virtualEnv("good");
  const connection = new Connection({ name: "x", endpoints: ["a"], env, driver: ALWAYS_THERE });
  const failures = [new Error("broken"), engineError("SINK-FAILED", "full"), undefined, undefined];
  const opened: unknown[] = [];
  const sink = resilientSink(connection, {
    guarantee: "offset",
    open: async (_, committed) => void opened.push(committed),
    deliver: async (_, slices) => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return slices.length;
    },
  });
  await sink.open("before");
  const delivered = () => env.until(sink.deliver([sliceOf(0)]).catch(() => "failed"));
  expect([await delivered(), await delivered(), await delivered(), await delivered()]).toEqual([
    "failed",
    "failed",
    1,
    1,
  ]);
  expect(opened).toEqual(["before", "before", "before"]);
  await sink.close();
});

function readerOf(connection: Flaky, after: number, mayBreak = true): SourceReader {
  let next = after + 1;
  return {
    async read(messagesMax) {
      if (mayBreak) connection.use();
      if (next === N) return "end";
      const first = next;
      next = Math.min(N, next + messagesMax);
      const rows = Array.from({ length: next - first }, (_, i) => first + i);
      return {
        batch: new RowBatch(rows),
        positions: Positions.dense(first, rows.length),
        through: next - 1,
        rejected: [],
      };
    },
    close: async () => undefined,
  };
}

function sliceOf(i: number): InputSlice {
  return { lane: "lane", input: 0, batch: new RowBatch([i]), positions: Positions.dense(i, 1), late: [] };
}

/** A connection that nothing ends. */
const ALWAYS_THERE = {
  connect: async (): Promise<object> => ({}),
  probe: async (): Promise<void> => undefined,
  ended: (): Promise<never> => new Promise(() => undefined),
  disconnect: async (): Promise<void> => undefined,
};

describe("what an endpoint says of its own time does not keep the next one waiting", () => {
  function served() {
    const env = virtualEnv("left alone");
    const driver = { ...ALWAYS_THERE, connect: async (endpoint: string) => ({ endpoint }) };
    const connection = new Connection<{ endpoint: string }>({ name: "x", endpoints: ["a", "b"], env, driver });
    const busy = engineError("SINK-FAILED", "busy", { retryAfterMs: 120_000 });
    return { env, connection, busy };
  }

  test("a sink's", async () => {
    const { env, connection, busy } = served();
    const sink = resilientSink(connection, {
      guarantee: "at-least-once",
      open: async () => undefined,
      deliver: async ({ endpoint }) => {
        if (endpoint === "a") throw busy;
        return endpoint;
      },
    });
    await sink.open(undefined);
    const failed = await env.until(sink.deliver([sliceOf(0)]).catch((error: unknown) => error));
    expect(failed).toMatchObject({ code: "SINK-FAILED", message: "busy" });
    await env.advance((failed as MillraceError).retryAfterMs ?? 0);
    expect(await env.until(sink.deliver([sliceOf(0)]))).toBe("b");
    expect(env.clock.monotonic()).toBeLessThan(1000);
    await sink.close();
  });

  test("a feed's", async () => {
    const { env, connection, busy } = served();
    const heard: string[] = [];
    const listen = async ({ endpoint }: { endpoint: string }): Promise<void> => {
      heard.push(endpoint);
      if (endpoint === "a") throw busy;
    };
    const feed = resilientFeed(connection, { listen, hasEnded: () => heard.includes("b") }, env);
    const ignore = (): void => undefined;
    const intake = { cursor: undefined, take: ignore, takeGroup: ignore, reject: ignore, lose: ignore };
    await env.until(feed.run(intake, new AbortController().signal));
    expect(heard).toEqual(["a", "b"]);
    expect(env.clock.monotonic()).toBeLessThan(1000);
  });
});

describe("a feed that is refused whenever it listens", () => {
  /** What its status says; `listening` ends the listening of the moment, or lets a message come. */
  async function refused() {
    const env = virtualEnv("refused");
    let listening: { refuse(): void; intake: FeedIntake } | undefined;
    const connection = new Connection({
      name: "x",
      endpoints: ["a"],
      env,
      driver: ALWAYS_THERE,
    });
    const listen = (_: object, intake: FeedIntake): Promise<void> =>
      new Promise((_resolve, reject) => {
        listening = { refuse: () => reject(new Error("not allowed")), intake };
      });
    const feed = resilientFeed(connection, { listen }, env);
    const stop = new AbortController();
    const taken: Json[] = [];
    const running = feed.run(
      {
        cursor: undefined,
        take: (m) => taken.push(m),
        takeGroup: ({ items }) => taken.push(...items.map(({ message }) => message)),
        reject: () => undefined,
        lose: () => undefined,
      },
      stop.signal,
    );
    const shown = (): string => `${feed.connection().state} ${feed.connection().reason}`.trim();
    await env.advance(10);
    expect(shown()).toBe("up");
    listening?.refuse();
    await env.advance(10);
    expect(shown()).toBe("backing-off not allowed");
    await env.advance(2000);
    const again = listening as { intake: FeedIntake } | undefined;
    const end = async (): Promise<void> => {
      stop.abort();
      listening?.refuse();
      await env.until(running);
    };
    return { env, shown, taken, intake: again?.intake as FeedIntake, end };
  }

  test("says why until a message comes, and not only until it listens again", async () => {
    const { env, shown, taken, intake, end } = await refused();
    expect(shown()).toBe("backing-off not allowed");
    intake.take("m");
    expect([shown(), taken]).toEqual(["up", ["m"]]);
    await env.advance(1000);
    await end();
  });

  test("says why no longer when it has listened for a while, though nothing came", async () => {
    const { env, shown, end } = await refused();
    await env.advance(5000);
    expect(shown()).toBe("backing-off not allowed");
    await env.advance(10_000);
    expect(shown()).toBe("up");
    await end();
  });
});

describe("a feed that subscribes", () => {
  test("is up when the other end has said that it sends, and shows a refusal until then", async () => {
    const env = virtualEnv("subscribes");
    const rounds: { refuse(): void; heard(): void }[] = [];
    const connection = new Connection({
      name: "x",
      endpoints: ["a"],
      env,
      driver: ALWAYS_THERE,
    });
    const listen = (_: object, _intake: FeedIntake, heard: () => void): Promise<void> =>
      new Promise((_resolve, reject) => {
        rounds.push({ refuse: () => reject(new Error("not allowed")), heard });
      });
    const feed = resilientFeed(connection, { subscribes: true, listen }, env);
    const stop = new AbortController();
    const ignore = (): void => undefined;
    const intake = { cursor: undefined, take: ignore, takeGroup: ignore, reject: ignore, lose: ignore };
    const running = feed.run(intake, stop.signal);
    const shown = (): string => `${feed.connection().state} ${feed.connection().reason}`.trim();
    await env.advance(10);
    expect(shown()).toBe("connecting");
    rounds[0]?.refuse();
    await env.advance(2000);
    expect(shown()).toBe("backing-off not allowed");
    rounds[1]?.heard();
    expect(shown()).toBe("up");
    rounds[1]?.refuse();
    await env.advance(2000);
    expect(shown()).toBe("backing-off not allowed");
    stop.abort();
    rounds[2]?.refuse();
    await env.until(running);
  });
});
