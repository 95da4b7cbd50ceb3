/** The Redis in the process, put to the cases that connectors of a server are put to, and what ends with the process. */
import {
  type Env,
  type Json,
  type MemredisAddress,
  Positions,
  parseMemredisAddress,
  RowBatch,
  reportOf,
  type SourceBatch,
  systemEnv,
} from "@millrace/engine";
import { feedContract, sinkContract, sourceContract } from "@millrace/engine/testing";
import { expect, test } from "vitest";
import { MemoryRedis, memredisFeed, memredisSink, memredisSource } from "../memory/mod.ts";
import { idAt } from "./stream-position.ts";

const env = systemEnv();
const POLICY = { backoffMs: 1, backoffMaxMs: 5, suspendMs: 10 };
const OPTIONS = { policy: POLICY, pollMs: 20 };

function address(text: string, side: "source" | "sink" = "source"): MemredisAddress {
  const parsed = parseMemredisAddress(text, side);
  if ("fault" in parsed) throw new Error(parsed.fault);
  return parsed;
}

function slice(from: number, rows: readonly Json[]) {
  return { lane: "l", input: 0, batch: new RowBatch(rows), positions: Positions.dense(from, rows.length), late: [] };
}

const append = (redis: MemoryRedis, text: string, field = "data"): void =>
  redis.stream("s").append(field, Buffer.from(text));

async function add(redis: MemoryRedis, rows: readonly Json[]): Promise<void> {
  for (const row of rows) append(redis, JSON.stringify(row));
}

async function held(redis: MemoryRedis): Promise<readonly Json[]> {
  const { entries } = await redis.connect().look("s", "0-0", 100_000);
  return entries.map(({ fields }) => JSON.parse(String(fields[0]?.[1])) as Json);
}

for (const ending of ["", "?until=now"]) {
  sourceContract(`a stream in memory${ending === "" ? "" : " until now"}`, {
    async holding(rows) {
      const redis = new MemoryRedis(env);
      await add(redis, rows);
      return {
        connector: memredisSource(address(`stream/s${ending}`), redis, env, OPTIONS),
        add: (more) => add(redis, more),
        close: async () => undefined,
      };
    },
    async holdingBad(rows) {
      const redis = new MemoryRedis(env);
      for (const [i, row] of rows.entries()) {
        await add(redis, [row]);
        if (i % 10 === 5) append(redis, "{");
        if (i % 10 === 7) append(redis, "1", "other");
      }
      const connector = memredisSource(address(`stream/s${ending}`), redis, env, OPTIONS);
      return { connector, bad: 6, close: async () => undefined };
    },
  });
}

feedContract(
  "a channel in memory",
  async () => {
    const redis = new MemoryRedis(env);
    const sender = redis.connect();
    return {
      connect: () => memredisFeed(address("channel/c"), redis, env, { policy: POLICY }),
      async send(bodies) {
        for (const body of bodies) await sender.publish("c", Buffer.from(body));
      },
      close: async () => sender.end(),
    };
  },
  { isLossy: true },
);

sinkContract("a stream in memory", async () => {
  const redis = new MemoryRedis(env);
  return {
    connect: () => memredisSink(address("stream/s", "sink"), "g/out", redis, env, { policy: POLICY }),
    content: () => held(redis),
    close: async () => undefined,
  };
});

sinkContract("a channel in memory", async () => {
  const redis = new MemoryRedis(env);
  const listener = redis.connect();
  const seen: Json[] = [];
  await listener.subscribe("c", (data) => seen.push(JSON.parse(Buffer.from(data).toString()) as Json));
  return {
    connect: () => memredisSink(address("channel/c", "sink"), "g/out", redis, env, { policy: POLICY }),
    content: async () => seen,
    close: async () => listener.end(),
  };
});

test("a late write of a dead incarnation adds nothing", async () => {
  const redis = new MemoryRedis(env);
  const sink = () => memredisSink(address("stream/s", "sink"), "g/out", redis, env, { policy: POLICY });
  const [dead, alive] = [sink(), sink()];
  await dead.open(undefined);
  await alive.open(undefined);
  await alive.deliver([slice(0, [0, 1, 2])]);
  await dead.deliver([slice(0, [0, 1])]);
  await alive.deliver([slice(3, [3])]);
  expect(await held(redis)).toEqual([0, 1, 2, 3]);
  await dead.close();
  await alive.close();
});

test("a sink goes on in another process, whose stream has nothing of what was committed", async () => {
  const sink = (redis: MemoryRedis) => memredisSink(address("stream/s", "sink"), "g/out", redis, env, OPTIONS);
  const first = sink(new MemoryRedis(env));
  await first.open(undefined);
  const committed = await first.deliver([slice(0, [0, 1])]);
  await first.close();
  const redis = new MemoryRedis(env);
  const next = sink(redis);
  await next.open(committed);
  await next.deliver([slice(2, [2])]);
  expect(await held(redis)).toEqual([2]);
  await next.close();
});

test("what newer entries push out unread is reported as an exact range, and stops the source only where the address says so", async () => {
  const redis = new MemoryRedis(env, { entriesMax: 10 });
  await add(redis, [0, 1, 2]);
  const source = (ending = "") => memredisSource(address(`stream/s${ending}`), redis, env, OPTIONS);
  const start = await source().open("0", -1);
  const { through } = (await start.read(1)) as SourceBatch;
  await start.close();
  await add(
    redis,
    Array.from({ length: 30 }, (_, i) => i + 3),
  );
  expect(await held(redis)).toEqual([23, 24, 25, 26, 27, 28, 29, 30, 31, 32]);
  const stopped = await source("?gap=stop").open("0", through);
  expect(await stopped.read(10).catch(reportOf)).toMatchObject({
    code: "SOURCE-GAP",
    details: { stream: "s", from: idAt(through + 1) },
  });
  await stopped.close();
  const recorded = await source().open("0", through);
  expect(await recorded.read(100)).toMatchObject({
    batch: { n: 10 },
    rejected: [{ input: { stream: "s", from: idAt(through + 1) } }],
  });
  await recorded.close();
});

test("a reader that comes back in another process is told what lay between, and reads what is added from then on", async () => {
  const redis = new MemoryRedis(env);
  await add(redis, [1]);
  const before = await memredisSource(address("stream/s"), redis, env, OPTIONS).open("0", -1);
  const { through } = (await before.read(1)) as SourceBatch;
  await before.close();
  const later = new MemoryRedis(at(env, 60_000));
  const reader = await memredisSource(address("stream/s"), later, env, OPTIONS).open("0", through);
  const gap = (await reader.read(10)) as SourceBatch;
  expect(gap).toMatchObject({ batch: { n: 0 }, rejected: [{ input: { from: idAt(through + 1) } }] });
  await add(later, [2]);
  expect(((await reader.read(10)) as SourceBatch).batch.rows()).toEqual([2]);
  await reader.close();
});

test("a clock that went back between two processes hides nothing", async () => {
  const redis = new MemoryRedis(at(env, 60_000));
  await add(redis, [1]);
  const before = await memredisSource(address("stream/s"), redis, env, OPTIONS).open("0", -1);
  const { through } = (await before.read(1)) as SourceBatch;
  await before.close();
  const earlier = new MemoryRedis(env);
  const reader = await memredisSource(address("stream/s"), earlier, env, OPTIONS).open("0", through);
  expect(await reader.read(10)).toBe("idle");
  await add(earlier, [2]);
  expect(((await reader.read(10)) as SourceBatch).batch.rows()).toEqual([2]);
  await reader.close();
  const written = new MemoryRedis(env);
  await add(written, [3]);
  const refused = await memredisSource(address("stream/s"), written, env, OPTIONS).open("0", through);
  expect(await refused.read(10).catch(reportOf)).toMatchObject({ code: "SOURCE-RECREATED" });
  await refused.close();
});

/** The same with a clock that is ahead. */
function at(base: Env, aheadMs: number): Env {
  const { clock } = base;
  return { ...base, clock: { now: () => clock.now() + aheadMs, monotonic: () => clock.monotonic() } };
}
