/** What every `Coordination` must do. */
import { describe, expect, it } from "vitest";
import type { Coordination, CoordinationEntry, Member } from "../coordination/coordination.ts";

export interface CoordinationHarness {
  /** One more host of the same cluster. */
  open(): Promise<Coordination>;
  /** Lets time pass for everybody. */
  pass(ms: number): Promise<void>;
  /** Time after which a silent member counts as dead. */
  readonly ttlMs: number;
  /** Longest time until a change is seen by others. */
  readonly seenMs: number;
  destroy(): Promise<void>;
}

export type MakeCoordination = () => Promise<CoordinationHarness>;

type Body = (harness: CoordinationHarness, a: Coordination, b: Coordination) => Promise<void>;

export function coordinationContract(name: string, make: MakeCoordination): void {
  const cluster = (body: Body) => async (): Promise<void> => {
    const harness = await make();
    try {
      await body(harness, await harness.open(), await harness.open());
    } finally {
      await harness.destroy();
    }
  };

  describe(`${name} is a coordination`, () => {
    describe("keys", () => keys(cluster));
    describe("watching", () => watching(cluster));
    describe("members", () => members(cluster));
  });
}

type Cluster = (body: Body) => () => Promise<void>;

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (entry: CoordinationEntry | undefined): string | undefined =>
  entry === undefined ? undefined : `${entry.key}=${Buffer.from(entry.value).toString()}`;

function keys(cluster: Cluster): void {
  it(
    "are written only by who knows the newest epoch",
    cluster(async (_, a, b) => {
      const first = await a.put("k", bytes("1"), "none");
      expect(first).toMatchObject({ ok: true, epoch: 1 });
      const late = await b.put("k", bytes("x"), "none");
      expect(late.ok ? undefined : text(late.current)).toBe("k=1");
      expect(await b.put("k", bytes("2"), 1)).toEqual({ ok: true, epoch: 2 });
      expect(await a.put("k", bytes("x"), 1)).toMatchObject({ ok: false, current: { epoch: 2 } });
      expect(await a.put("k", bytes("x"), 7)).toMatchObject({ ok: false });
      expect(await a.put("other", bytes("x"), 1)).toEqual({ ok: false, current: undefined });
      expect(text(await a.get("k"))).toBe("k=2");
      expect(await a.get("other")).toBeUndefined();
    }),
  );

  it(
    "keep their epochs rising over deletions",
    cluster(async (_, a, b) => {
      await a.put("k", bytes("1"), "none");
      expect(await b.delete("k", 9)).toMatchObject({ ok: false });
      expect(await b.delete("k", 1)).toEqual({ ok: true, epoch: 2 });
      expect(await a.get("k")).toBeUndefined();
      expect(await a.put("k", bytes("x"), 1)).toEqual({ ok: false, current: undefined });
      expect(await a.delete("k", 2)).toMatchObject({ ok: false });
      expect(await a.put("k", bytes("3"), "none")).toEqual({ ok: true, epoch: 3 });
    }),
  );

  it(
    "have one winner among many",
    cluster(async (harness, a, b) => {
      const clients = [a, b, await harness.open()];
      const results = await Promise.all(
        Array.from({ length: 12 }, (_, i) => (clients[i % 3] as Coordination).put("leader", bytes(String(i)), "none")),
      );
      expect(results.filter((r) => r.ok)).toHaveLength(1);
      const increment = async (client: Coordination): Promise<void> => {
        for (;;) {
          const now = await client.get("count");
          const next = bytes(String(Number(Buffer.from(now?.value ?? bytes("0")).toString()) + 1));
          if ((await client.put("count", next, now?.epoch ?? "none")).ok) return;
        }
      };
      await Promise.all(clients.flatMap((c) => Array.from({ length: 8 }, () => increment(c))));
      expect(text(await b.get("count"))).toBe("count=24");
    }),
  );

  it(
    "are listed by prefix, in order, without deleted ones",
    cluster(async (_, a, b) => {
      for (const key of ["shard/b", "shard/a", "shards", "shard/a/1", "x"]) await a.put(key, bytes(key), "none");
      await b.delete("shard/b", 1);
      expect((await b.list("shard/")).map((e) => e.key)).toEqual(["shard/a", "shard/a/1"]);
      expect((await b.list("")).map((e) => e.key)).toEqual(["shard/a", "shard/a/1", "shards", "x"]);
      expect(await b.list("nothing")).toEqual([]);
    }),
  );

  it(
    "and values are checked and copied",
    cluster(async (_, a) => {
      for (const key of ["", "a b", "ü", "a\0", "x".repeat(201)]) {
        await expect(a.put(key, bytes("1"), "none")).rejects.toMatchObject({ code: "COORDINATION-KEY" });
      }
      for (const key of ["..", "../x", ".", "a/../b", "x".repeat(200)]) {
        expect(await a.put(key, bytes(key), "none")).toMatchObject({ ok: true });
        expect(text(await a.get(key))).toBe(`${key}=${key}`);
      }
      const value = Buffer.from("abc");
      await a.put("v", value, "none");
      value.fill(0);
      (await a.get("v"))?.value.fill(1);
      expect(text(await a.get("v"))).toBe("v=abc");
    }),
  );
}

/** The next value of a watch, letting just enough time pass. */
async function next<T>(harness: CoordinationHarness, watch: AsyncIterator<T>): Promise<T | undefined> {
  const pending = watch.next();
  await harness.pass(harness.seenMs);
  const { done, value } = await pending;
  return done === true ? undefined : value;
}

function watching(cluster: Cluster): void {
  it(
    "shows the state at once, then after every change, ours and theirs",
    cluster(async (harness, a, b) => {
      await a.put("w/1", bytes("1"), "none");
      const abort = new AbortController();
      const watch = b.watch("w/", abort.signal)[Symbol.asyncIterator]();
      expect((await next(harness, watch))?.map(text)).toEqual(["w/1=1"]);
      await a.put("other", bytes("x"), "none");
      await a.put("w/2", bytes("2"), "none");
      expect((await next(harness, watch))?.map(text)).toEqual(["w/1=1", "w/2=2"]);
      await b.put("w/1", bytes("3"), 1);
      expect((await next(harness, watch))?.map(text)).toEqual(["w/1=3", "w/2=2"]);
      await a.delete("w/2", 1);
      expect((await next(harness, watch))?.map(text)).toEqual(["w/1=3"]);
      abort.abort();
      expect(await next(harness, watch)).toBeUndefined();
    }),
  );

  it(
    "ends when it is closed",
    cluster(async (harness, a, b) => {
      const watch = a.watch("", new AbortController().signal)[Symbol.asyncIterator]();
      const members = a.watchMembers(new AbortController().signal)[Symbol.asyncIterator]();
      await next(harness, watch);
      await next(harness, members);
      await a.close();
      expect([await next(harness, watch), await next(harness, members)]).toEqual([undefined, undefined]);
      await expect(a.get("k")).rejects.toMatchObject({ code: "COORDINATION-CLOSED" });
      await expect(a.put("k", bytes(""), "none")).rejects.toMatchObject({ code: "COORDINATION-CLOSED" });
      await expect(a.join("m", bytes(""))).rejects.toMatchObject({ code: "COORDINATION-CLOSED" });
      await a.close();
      expect(await b.get("k")).toBeUndefined();
    }),
  );
}

const names = (list: readonly Member[] | undefined): readonly string[] =>
  (list ?? []).map((m) => `${m.id}:${Buffer.from(m.data).toString()}`);

function members(cluster: Cluster): void {
  it(
    "are seen by all while they live, and gone as soon as they leave",
    cluster(async (harness, a, b) => {
      const first = await a.join("host-a", bytes("x"));
      const second = await b.join("host-b", bytes("y"));
      expect(names(await b.members())).toEqual(["host-a:x", "host-b:y"]);
      await harness.pass(harness.ttlMs * 3);
      expect(names(await a.members())).toEqual(["host-a:x", "host-b:y"]);
      await first.leave();
      expect(names(await b.members())).toEqual(["host-b:y"]);
      expect(second.lost.aborted).toBe(false);
    }),
  );

  it(
    "are dropped when they fall silent, not before their time",
    cluster(async (harness, a, b) => {
      await a.join("host-a", bytes(""));
      await b.join("host-b", bytes(""));
      expect(names(await b.members())).toHaveLength(2);
      await harness.pass(harness.ttlMs / 2);
      await a.close();
      await harness.pass(harness.ttlMs / 4);
      expect(names(await b.members())).toHaveLength(2);
      await harness.pass(harness.ttlMs * 2);
      expect(names(await b.members())).toEqual(["host-b:"]);
    }),
  );

  it(
    "are watched",
    cluster(async (harness, a, b) => {
      const watch = b.watchMembers(new AbortController().signal)[Symbol.asyncIterator]();
      expect(names(await next(harness, watch))).toEqual([]);
      const membership = await a.join("host-a", bytes("1"));
      expect(names(await next(harness, watch))).toEqual(["host-a:1"]);
      await membership.leave();
      expect(names(await next(harness, watch))).toEqual([]);
    }),
  );

  it(
    "lose their place to a newer incarnation",
    cluster(async (harness, a, b) => {
      const old = await a.join("host", bytes("old"));
      const now = await b.join("host", bytes("new"));
      expect(now.incarnation).not.toBe(old.incarnation);
      await harness.pass(harness.ttlMs);
      expect([old.lost.aborted, now.lost.aborted]).toEqual([true, false]);
      await old.leave();
      expect(names(await a.members())).toEqual(["host:new"]);
      expect((await a.members())[0]?.incarnation).toBe(now.incarnation);
    }),
  );
}
