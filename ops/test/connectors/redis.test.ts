/** Redis connectors against a real server. */
import {
  type Feed,
  isJsonObject,
  type Json,
  parseRedisAddress,
  type RedisAddress,
  reportOf,
  type SourceBatch,
  type SourceConnector,
  systemEnv,
} from "@millrace/engine";
import { feedContract, sinkContract, sourceContract } from "@millrace/engine/testing";
import { redisFeed, redisSink, redisSource } from "@millrace/streams/redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { redisMissing, startRedis } from "../../services/redis-server.ts";
import type { ServerProcess } from "../../services/server-process.ts";
import { TcpProxy } from "../../services/tcp-proxy.ts";
import { times } from "../faults/form.ts";
import { expectRegistered, REGISTERED_LIMIT_MS } from "./registered-messages.ts";
import { numbers, QUICK, RunningGraph, slice, WAIT } from "./running-graph.ts";

const env = systemEnv();

describe.skipIf(redisMissing)(`Redis${redisMissing === undefined ? "" : ` (skipped: ${redisMissing})`}`, () => {
  let server: ServerProcess;
  let redis: Redis;
  let wire: TcpProxy;
  let count = 0;
  const next = (name: string): string => `${name}${++count}`;

  beforeAll(async () => {
    server = await startRedis();
    wire = await TcpProxy.to(server);
    redis = new Redis(server.port, "127.0.0.1");
    await redis.config("SET", "notify-keyspace-events", "KA");
  });
  afterAll(async () => {
    redis?.disconnect();
    await wire?.close();
    await server?.stop();
  });

  const address = (path: string, side: "source" | "sink" = "source", at = server.address): RedisAddress => {
    const parsed = parseRedisAddress(`//${at}${path}`, side);
    if ("fault" in parsed) throw new Error(parsed.fault);
    return parsed;
  };
  const source = (path: string, at = server.address): SourceConnector =>
    redisSource(address(path, "source", at), env, { policy: QUICK, pollMs: 20 });
  const breakConnections = (): void => wire.snap();
  const add = async (key: string, rows: readonly Json[]): Promise<string[]> => {
    const pipeline = redis.pipeline();
    for (const row of rows) pipeline.xadd(key, "*", "data", JSON.stringify(row));
    return ((await pipeline.exec()) ?? []).map(([, id]) => String(id));
  };
  const rowsOf = async (key: string): Promise<readonly Json[]> =>
    (await redis.xrange(key, "-", "+")).map(([, fields]) => JSON.parse(fields[1] ?? "") as Json);

  for (const ending of ["", "?until=now"]) {
    sourceContract(`a Redis stream${ending === "" ? "" : " until now"}`, {
      positions: times(6, 20),
      async holding(rows) {
        const key = next("s");
        await add(key, rows);
        if (rows.length === 0) {
          const [id = ""] = await add(key, ["gone"]);
          await redis.xdel(key, id);
        }
        const connector = source(`/stream/${key}${ending}`, wire.address);
        const more = async (rows: readonly Json[]): Promise<void> => void (await add(key, rows));
        return { connector, add: more, breakConnections, close: async () => undefined };
      },
      async holdingBad(rows) {
        const key = next("s");
        for (const [i, row] of rows.entries()) {
          await add(key, [row]);
          if (i % 10 === 5) await redis.xadd(key, "*", "data", "{");
          if (i % 10 === 7) await redis.xadd(key, "*", "other", "1");
        }
        return { connector: source(`/stream/${key}${ending}`), bad: 6, close: async () => undefined };
      },
      async missing() {
        return { connector: source(`/stream/none${ending}`), close: async () => undefined };
      },
    });
  }

  sinkContract(
    "a Redis stream",
    async () => {
      const key = next("s");
      return {
        connect: () => redisSink(address(`/stream/${key}`, "sink", wire.address), "g/out", env, { policy: QUICK }),
        content: () => rowsOf(key),
        breakConnections,
        close: async () => undefined,
      };
    },
    { runs: times(5, 15) },
  );

  sinkContract(
    "a Redis channel",
    async () => {
      const channel = next("c");
      const seen: Json[] = [];
      const listener = redis.duplicate();
      listener.on("message", (_channel, text) => seen.push(JSON.parse(text) as Json));
      await listener.subscribe(channel);
      return {
        connect: () => redisSink(address(`/channel/${channel}`, "sink", wire.address), "g/out", env, { policy: QUICK }),
        breakConnections,
        async content() {
          await listener.ping();
          return seen;
        },
        close: async () => listener.disconnect(),
      };
    },
    { runs: times(5, 15) },
  );

  feedContract(
    "a Redis channel",
    async () => {
      const channel = next("c");
      return {
        connect: () => redisFeed(address(`/channel/${channel}`, "source", wire.address), env, { policy: QUICK }),
        async send(bodies) {
          for (const body of bodies) await redis.publish(channel, body);
        },
        breakConnections,
        close: async () => undefined,
      };
    },
    { isLossy: true },
  );

  sinkContract(
    "keys of Redis",
    async () => {
      const prefix = next("k[*]");
      return {
        connect: () =>
          redisSink(address(`/key/${encodeURIComponent(prefix)}:`, "sink", wire.address), "g/out", env, {
            policy: QUICK,
            key: "id",
          }),
        content: () => valuesOf(prefix),
        breakConnections,
        close: async () => undefined,
      };
    },
    { runs: times(5, 15) },
  );

  /** By their keys, which are numbers. */
  const valuesOf = async (prefix: string): Promise<readonly Json[]> => {
    const all = (await redis.keys("*")).filter((key) => key.startsWith(`${prefix}:`));
    const numberOf = (key: string): number => Number(key.slice(prefix.length + 1));
    const keys = all.sort((one, other) => numberOf(one) - numberOf(other));
    if (keys.length === 0) return [];
    return (await redis.mget(keys)).map((text) => JSON.parse(text ?? "") as Json);
  };
  const keyFeed = (prefix: string, ending = "", unsettledMax = 1000): Feed =>
    redisFeed(address(`/key/${encodeURIComponent(prefix)}${ending}`, "source", wire.address), env, {
      policy: QUICK,
      unsettledMax,
    });

  feedContract(
    "keys of Redis",
    async () => {
      const prefix = next("k[*]");
      // With few keys: one that is set while others are still looked for may come twice.
      const sender = redis.duplicate({ db: 3 });
      let sent = 0;
      return {
        connect: (unsettledMax) => onlyValues(keyFeed(`${prefix}:`, "?db=3", unsettledMax)),
        async send(bodies) {
          for (const body of bodies) await sender.set(`${prefix}:${sent++}`, body);
        },
        breakConnections,
        close: async () => sender.disconnect(),
      };
    },
    { holdsBackAt: 20 },
  );

  test("keys that are there come first, then what is set, expires, is renamed or deleted, and nothing of other keys", async () => {
    await redis.mset("there:a", "1", "there:b", "2", "ther", "0", "other:a", "0");
    const { rows, failures } = heard(keyFeed("there:"));
    const rowsBy = async (n: number): Promise<unknown> => {
      await vi.waitFor(() => expect(rows.length).toBeGreaterThanOrEqual(n), WAIT);
      return rows.splice(0);
    };
    expect(sortedBy(await rowsBy(2))).toEqual([put("a", 1), put("b", 2)]);
    await redis.set("other:a", "3");
    await redis.set("there:a", "4");
    expect(await rowsBy(1)).toEqual([put("a", 4)]);
    await redis.rename("there:a", "there:c");
    expect(sortedBy(await rowsBy(2))).toEqual([gone("a"), put("c", 4)]);
    await redis.pexpire("there:c", 1);
    await vi.waitFor(async () => expect(await redis.exists("there:c")).toBe(0), WAIT);
    await redis.del("there:b");
    expect(sortedBy(await rowsBy(2))).toEqual([gone("b"), gone("c")]);
    await redis.lpush("there:list", "x");
    await vi.waitFor(
      () => expect(failures).toMatchObject([{ code: "MSG-DECODE", place: { stream: "there:list" } }]),
      WAIT,
    );
  });

  test("keys until now end with what is there, also where the server tells of no changes", async () => {
    await redis.mset("ended:a", "1", "ended:b", "2");
    await redis.config("SET", "notify-keyspace-events", "");
    const { rows, running } = heard(keyFeed("ended:", "?until=now", 1));
    await running;
    expect(sortedBy(rows)).toEqual([put("a", 1), put("b", 2)]);
    const failure = await heard(keyFeed("ended:")).running.catch(reportOf);
    expect(failure).toMatchObject({
      code: "REDIS-NOTIFY",
      kind: "terminal",
      message: expect.stringContaining("notify-keyspace-events"),
    });
    await redis.config("SET", "notify-keyspace-events", "KA");
  });

  test("a node that reads keys of a server that tells of no changes fails with the reason, and goes on once it tells", async () => {
    await redis.config("SET", "notify-keyspace-events", "Eg");
    await redis.set("silent:a", "1");
    const running = await RunningGraph.start(`name: silent
nodes:
  keys: { kind: source, from: "redis://${server.address}/key/silent:" }
  all:  { kind: sink, input: keys, to: "redis://${server.address}/stream/silent" }
`);
    const source = () => running.status().nodes.find(({ node }) => node === "keys");
    try {
      await vi.waitFor(() => expect(source()?.lastError).toMatchObject({ code: "REDIS-NOTIFY" }), WAIT);
      await redis.config("SET", "notify-keyspace-events", "KA");
      await vi.waitFor(async () => expect(await rowsOf("silent")).toEqual([put("a", 1)]), WAIT);
    } finally {
      await running.stop();
    }
  });

  test("keys that one node of a graph sets are another one's changes; a row without a key is refused", async () => {
    // With few keys: one that is set while others are still looked for may come twice.
    const running = await RunningGraph.start(`name: latest
nodes:
  in:   { kind: source, from: "redis://${server.address}/channel/prices" }
  out:  { kind: sink, input: in, to: "redis://${server.address}/key/price:?db=4", key: [id] }
  keys: { kind: source, from: "redis://${server.address}/key/price:?db=4" }
  all:  { kind: sink, input: keys, to: "redis://${server.address}/stream/prices" }
`);
    try {
      await vi.waitFor(
        () => expect([running.connection("in"), running.connection("keys")]).toEqual(["up", "up"]),
        WAIT,
      );
      await redis.publish("prices", '{"id":"x","price":1}');
      const row = put("x", { id: "x", price: 1 });
      await vi.waitFor(async () => expect(await rowsOf("prices")).toEqual([row]), WAIT);
    } finally {
      await running.stop();
    }
    const sink = redisSink(address("/key/p:", "sink"), "g/out", env, { policy: QUICK, key: "id" });
    expect(await sink.deliver([slice(0, [{ id: null }])]).catch(reportOf)).toMatchObject({ code: "REDIS-KEY" });
    await sink.close();
  });

  test(
    "messages of streams, channels and keys are those of a schema registry",
    async () => {
      const at = (path: string): string => `redis://${server.address}/${path}`;
      const [from, to, keys] = [next("s"), next("s"), `${next("k")}:`];
      const bodiesOf = async (key: string): Promise<readonly Buffer[]> =>
        (await redis.xrangeBuffer(key, "-", "+")).map(([, fields]) => fields[1] as Buffer);
      // A stream that is not there is none.
      await redis.xdel(from, (await redis.xadd(from, "*", "data", "gone")) ?? "");
      await expectRegistered({
        source: at(`stream/${from}`),
        sink: at(`stream/${to}`),
        stream: from,
        subject: to,
        async send(bodies) {
          for (const body of bodies) await redis.xadd(from, "*", "data", body);
        },
        received: () => bodiesOf(to),
      });
      let key = 0;
      await expectRegistered({
        source: at(`key/${keys}`),
        sink: at(`stream/${to}2`),
        field: "value",
        stream: expect.stringMatching(`^${keys}\\d$`),
        subject: `${to}2`,
        async send(bodies) {
          for (const body of bodies) await redis.set(`${keys}${++key}`, body);
        },
        received: () => bodiesOf(`${to}2`),
      });
      await expectRegistered({
        source: at(`channel/${from}`),
        sink: at(`key/${to}:`),
        hasKeys: true,
        stream: from,
        subject: `${to}:`,
        async send(bodies) {
          for (const body of bodies) await redis.publish(from, body);
        },
        async received() {
          const values = await Promise.all([1, 2].map((n) => redis.getBuffer(`${to}:${n}`)));
          return values.flatMap((value) => value ?? []);
        },
      });
    },
    REGISTERED_LIMIT_MS,
  );

  test("fields of an entry are the message where the address says so", async () => {
    const key = next("s");
    await redis.xadd(key, "*", "a", "1", "b", "x");
    const reader = await source(`/stream/${key}?field=*`).open("0", -1);
    const read = await reader.read(10);
    expect((read as SourceBatch).batch.rows()).toEqual([{ a: "1", b: "x" }]);
    await reader.close();
  });

  test("what was trimmed unread is reported as an exact range; what was deleted in the middle is a hole", async () => {
    const key = next("s");
    // Of one millisecond, in which the id before another is that of the entry before it.
    const ids = numbers(0, 100).map((n) => `1700000000000-${n}`);
    for (const [n, id] of ids.entries()) await redis.xadd(key, id, "data", `${n}`);
    const start = await source(`/stream/${key}`).open("0", -1);
    const read = await start.read(10);
    const after = (read as { through: number }).through;
    await start.close();
    await redis.xdel(key, ids[50] ?? "");
    const holes = await source(`/stream/${key}`).open("0", after);
    expect(await holes.read(200)).toMatchObject({ batch: { n: 89 }, rejected: [] });
    await holes.close();
    await redis.xtrim(key, "MAXLEN", 20);
    const stopped = await source(`/stream/${key}`).open("0", after);
    const report = await stopped.read(10).catch(reportOf);
    expect(report).toMatchObject({ code: "SOURCE-GAP", kind: "terminal", details: { stream: key, to: ids[79] } });
    await stopped.close();
    const recorded = await source(`/stream/${key}?gap=record`).open("0", after);
    expect(await recorded.read(100)).toMatchObject({ batch: { n: 20 }, rejected: [{ input: { to: ids[79] } }] });
    await recorded.close();
  });

  /** With room between their ids. */
  const ofOneMoment = async (key: string, from: number, n: number): Promise<string[]> => {
    const ids = numbers(from, n).map((i) => `1700000000000-${10 * i}`);
    for (const [i, id] of ids.entries()) await redis.xadd(key, id, "data", `${from + i}`);
    return ids;
  };

  test("an entry that is deleted at the cursor is no gap where one before it is there, and is none to a reader that counts", async () => {
    const key = next("s");
    const ids = await ofOneMoment(key, 0, 5);
    const first = await source(`/stream/${key}`).open("0", -1);
    const { through } = (await first.read(10)) as SourceBatch;
    await redis.xdel(key, ids[4] ?? "");
    await ofOneMoment(key, 5, 1);
    const again = await source(`/stream/${key}`).open("0", through);
    expect(await again.read(10)).toMatchObject({ batch: { n: 1 }, rejected: [] });
    await again.close();
    // Neither is what it has read deleted, nor trimmed up to there.
    for (const id of ids) await redis.xdel(key, id);
    expect(await first.read(10)).toMatchObject({ batch: { n: 1 }, rejected: [] });
    await ofOneMoment(key, 6, 1);
    await redis.xtrim(key, "MAXLEN", 1);
    expect(await first.read(10)).toMatchObject({ batch: { n: 1 }, rejected: [] });
    await first.close();
  });

  test("what is trimmed unread is a gap to a reader that counts, with how many there were, whatever was deleted before", async () => {
    const key = next("s");
    const ids = await ofOneMoment(key, 0, 3);
    const reader = await source(`/stream/${key}?gap=record`).open("0", -1);
    await reader.read(10);
    await redis.xdel(key, ids[1] ?? "", ids[2] ?? "");
    await ofOneMoment(key, 3, 4);
    await redis.xtrim(key, "MAXLEN", 1);
    const range = { from: "1700000000000-21", to: "1700000000000-59" };
    expect(await reader.read(10)).toMatchObject({
      batch: { n: 1 },
      rejected: [{ input: range, error: { code: "SOURCE-GAP", details: { ...range, entries: 3 } } }],
    });
    // Some of what is missing was deleted: how much of it was trimmed nobody knows.
    const [deleted = ""] = await ofOneMoment(key, 7, 3);
    await redis.xdel(key, deleted);
    await redis.xtrim(key, "MAXLEN", 1);
    const { rejected } = (await reader.read(10)) as SourceBatch;
    expect(rejected).toMatchObject([{ input: { from: "1700000000000-61", to: "1700000000000-89" } }]);
    expect(rejected[0]?.error).not.toHaveProperty("details.entries");
    await reader.close();
  });

  test("a late write of a dead incarnation adds nothing, and a target that lost what was committed is refused", async () => {
    const key = next("s");
    const sink = (): ReturnType<typeof redisSink> =>
      redisSink(address(`/stream/${key}`, "sink"), "g/out", env, { policy: QUICK });
    const [dead, alive] = [sink(), sink()];
    await dead.open(undefined);
    await alive.open(undefined);
    const committed = await alive.deliver([slice(0, [0, 1, 2])]);
    await dead.deliver([slice(0, [0, 1])]);
    await alive.deliver([slice(3, [3])]);
    expect(await rowsOf(key)).toEqual([0, 1, 2, 3]);
    await redis.del(key, `millrace:g/out:${key}`);
    await alive.open(committed);
    expect(await alive.deliver([slice(4, [4])]).catch(reportOf)).toMatchObject({
      code: "REDIS-BEHIND",
      kind: "terminal",
    });
    await dead.close();
    await alive.close();
  });

  test("a graph between two streams loses nothing and adds nothing twice while the server is killed under load", async () => {
    const text = `name: copy
nodes:
  in:  { kind: source, from: "redis://${server.address}/stream/in" }
  out: { kind: sink, input: in, to: "redis://${server.address}/stream/out" }
  ch:  { kind: source, from: "redis://${server.address}/channel/live" }
  all: { kind: sink, input: ch, to: "redis://${server.address}/stream/heard" }
`;
    const running = await RunningGraph.start(text);
    try {
      const total = 3000;
      let sent = 0;
      for (let kill = 1; sent < total; ) {
        await add("in", numbers(sent, 100));
        sent += 100;
        await new Promise((resolve) => setTimeout(resolve, 10));
        if (sent < kill * 900 || kill > 3) continue;
        kill++;
        // Ours would hang on a dead server; what it added is on disk.
        redis.disconnect();
        await server.kill();
        await vi.waitFor(() => {
          expect(running.connection("in")).not.toBe("up");
        }, WAIT);
        await server.start();
        redis = new Redis(server.port, "127.0.0.1");
      }
      await vi.waitFor(async () => expect(await redis.xlen("out")).toBeGreaterThanOrEqual(total), WAIT);
      const rows = (await rowsOf("out")).map(Number);
      const lost = total - new Set(rows).size;
      console.log(
        `redis ${server.greeting}: ${total} messages, 3 kills -9: ${lost} lost, ${rows.length - new Set(rows).size} twice`,
      );
      expect(rows).toEqual(numbers(0, total));
      await vi.waitFor(async () => expect(await redis.publish("live", '{"n":1}')).toBe(1), WAIT);
      await vi.waitFor(async () => expect(await rowsOf("heard")).toEqual([{ n: 1 }]), WAIT);
    } finally {
      await running.stop();
    }
  }, 60_000);
});

const put = (key: string, value: Json) => ({ key, value, operation: "put" });
const gone = (key: string) => ({ key, value: null, operation: "delete" });

const sortedBy = (rows: unknown): readonly { readonly key: string }[] =>
  [...(rows as readonly { readonly key: string }[])].sort((one, other) => one.key.localeCompare(other.key));

/** What a feed hands over, each durable at once. */
function heard(feed: Feed): { readonly rows: Json[]; readonly failures: unknown[]; readonly running: Promise<void> } {
  const rows: Json[] = [];
  const failures: unknown[] = [];
  const stopping = new AbortController();
  const unused = (): never => {
    throw new Error("keys come one by one");
  };
  const running = feed.run(
    {
      cursor: undefined,
      take(message, receipt) {
        rows.push(message);
        queueMicrotask(() => receipt?.settle?.());
      },
      reject: (error) => failures.push(error),
      takeGroup: unused,
      lose: unused,
    },
    stopping.signal,
  );
  onTestFinished(async () => {
    stopping.abort();
    await running.catch(() => undefined);
  });
  return { rows, failures, running };
}

/** The feed with the values of its rows as messages, which is what the contract sends. */
function onlyValues(feed: Feed): Feed {
  return {
    ...feed,
    connection: () => feed.connection(),
    run: (intake, signal) =>
      feed.run(
        { ...intake, take: (row, receipt) => intake.take((isJsonObject(row) ? row.value : null) ?? null, receipt) },
        signal,
      ),
  };
}
