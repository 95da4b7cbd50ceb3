import { engineError, reportOf } from "@millrace/engine";
import { type VirtualEnv, virtualEnv } from "@millrace/engine/testing";
import { describe, expect, test } from "vitest";
import { Connection, type ConnectionDriver } from "./connection.ts";
import type { ResiliencePolicy } from "./policy.ts";

/** A world of endpoints that are up, down, or silent. */
class World implements ConnectionDriver<Peer> {
  readonly up = new Set<string>();
  /** Takes connections and says nothing. */
  readonly silent = new Set<string>();
  readonly attempts: (readonly [endpoint: string, atMs: number])[] = [];
  readonly peers: Peer[] = [];
  readonly #env: VirtualEnv;
  /** How long an endpoint that is not up wants to be left alone. */
  readonly asked = new Map<string, number>();
  connectMs = 1;

  constructor(env: VirtualEnv) {
    this.#env = env;
  }

  connect(endpoint: string): Promise<Peer> {
    this.attempts.push([endpoint, this.#env.clock.monotonic()]);
    return new Promise((resolve, reject) => {
      this.#env.timers.after(this.connectMs, () => {
        const retryAfterMs = this.asked.get(endpoint);
        if (!this.up.has(endpoint))
          return reject(
            retryAfterMs === undefined ? new Error("refused") : engineError("SINK-FAILED", "busy", { retryAfterMs }),
          );
        const peer = new Peer(endpoint);
        this.peers.push(peer);
        resolve(peer);
      });
    });
  }

  probe(peer: Peer): Promise<void> {
    return this.silent.has(peer.endpoint) ? new Promise(() => undefined) : Promise.resolve();
  }

  ended(peer: Peer): Promise<unknown> {
    return peer.ended;
  }

  async disconnect(peer: Peer): Promise<void> {
    peer.disconnected = true;
    peer.end(undefined);
  }
}

class Peer {
  readonly endpoint: string;
  readonly ended: Promise<unknown>;
  end: (reason: unknown) => void = () => undefined;
  disconnected = false;

  constructor(endpoint: string) {
    this.endpoint = endpoint;
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }
}

const POLICY: ResiliencePolicy = {
  connectTimeoutMs: 500,
  backoffMs: 100,
  backoffMaxMs: 1000,
  jitter: 0.2,
  suspendAfter: 4,
  suspendMs: 5000,
  probeEveryMs: 1000,
  probeTimeoutMs: 300,
};

function setUp(endpoints: readonly string[] = ["a", "b"], seed = "1") {
  const env = virtualEnv(seed);
  const world = new World(env);
  const connection = new Connection({ name: "x://a,b", endpoints, driver: world, env, policy: POLICY });
  const acquire = (): Promise<Peer> => env.until(connection.acquire());
  const failure = () => env.until(connection.acquire().then(() => undefined, reportOf));
  return { env, world, connection, acquire, failure };
}

describe("a resilient connection", () => {
  test("takes the first endpoint that answers, in the order of the list, each time from its beginning", async () => {
    const { world, connection, acquire, env } = setUp(["a", "b", "c"]);
    world.up.add("b").add("c");
    const first = await acquire();
    expect(first.endpoint).toBe("b");
    expect(world.attempts.map(([endpoint]) => endpoint)).toEqual(["a", "b"]);
    expect(connection.status).toMatchObject({ state: "up", endpoint: "b", reason: "", connects: 1, failures: 0 });
    world.up.add("a");
    first.end(new Error("reset by peer"));
    await env.settle();
    expect(connection.status).toMatchObject({ state: "backing-off", reason: "reset by peer" });
    expect((await acquire()).endpoint).toBe("a");
    expect(connection.status).toMatchObject({ state: "up", endpoint: "a", connects: 2 });
  });

  test("makes one connection for all who wait for it", async () => {
    const { world, connection, env } = setUp();
    world.up.add("a");
    const peers = await env.until(Promise.all([connection.acquire(), connection.acquire(), connection.acquire()]));
    expect(new Set(peers).size).toBe(1);
    expect(world.attempts.length).toBe(1);
  });

  test("waits longer after each failed round, by chance a little more or less", async () => {
    const { world, failure } = setUp(["a"]);
    for (let i = 0; i < 4; i++) expect(await failure()).toMatchObject({ code: "CONNECTION-FAILED", kind: "transient" });
    const at = world.attempts.map(([, ms]) => ms);
    const waits = at.slice(1).map((ms, i) => ms - (at[i] as number) - world.connectMs);
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(100 * 2 ** i * 0.8);
      expect(wait).toBeLessThanOrEqual(100 * 2 ** i * 1.2);
    }
    const other = setUp(["a"], "2");
    for (let i = 0; i < 4; i++) await other.failure();
    expect(other.world.attempts.map(([, ms]) => ms)).not.toEqual(at);
  });

  describe("to endpoints that say how long they want to be left alone", () => {
    const MINUTE = 60_000;

    test("leaves each alone for its own time, and tries the others in the waits between rounds", async () => {
      const { world, failure, acquire, env } = setUp(["a", "b", "c"]);
      world.asked.set("a", 2 * MINUTE);
      const first = await failure();
      expect(first).toMatchObject({ code: "CONNECTION-FAILED" });
      await failure();
      expect(world.attempts.map(([endpoint]) => endpoint)).toEqual(["a", "b", "c", "b", "c"]);
      expect(world.attempts.at(-1)?.[1]).toBeLessThan(1000);
      world.up.add("a").add("c");
      const third = await acquire();
      expect(third.endpoint).toBe("c");
      third.end(new Error("reset by peer"));
      await env.advance(MINUTE);
      expect((await acquire()).endpoint).toBe("c");
    });

    test("goes back to the first in order once its time has come", async () => {
      const { world, failure, acquire, env } = setUp();
      world.asked.set("a", 2 * MINUTE);
      world.up.add("b");
      const second = await acquire();
      expect(second.endpoint).toBe("b");
      await env.advance(2 * MINUTE);
      world.up.add("a");
      second.end(new Error("reset by peer"));
      await env.settle();
      expect((await acquire()).endpoint).toBe("a");
      expect(await failure()).toBeUndefined();
    });

    test("waits, where all want to be left alone, for the one whose time comes first", async () => {
      const { world, connection, failure, acquire, env } = setUp();
      world.asked.set("a", 2 * MINUTE).set("b", MINUTE);
      expect(await failure()).toMatchObject({ code: "CONNECTION-FAILED" });
      const left = connection.waitMs;
      expect(left).toBeLessThanOrEqual(MINUTE);
      world.asked.clear();
      expect(await failure()).toMatchObject({
        message: expect.stringMatching(/: a: wants to be left alone for \d+ ms more; b: refused$/),
      });
      const [, , [endpoint, atMs] = ["", 0]] = world.attempts;
      expect([endpoint, Math.round(atMs / 1000)]).toEqual(["b", 60]);
      await env.advance(2 * MINUTE);
      world.up.add("a");
      expect((await acquire()).endpoint).toBe("a");
    });

    test("is open for as long as the first of them asks when the circuit opens", async () => {
      const { world, connection, failure } = setUp();
      world.asked.set("a", 2 * MINUTE);
      for (let i = 0; i < 4; i++) await failure();
      expect(connection.status.state).toBe("suspended");
      expect(connection.waitMs).toBe(POLICY.suspendMs);
    });

    test("gives up one over which it was said, and has the next", async () => {
      const { world, connection, acquire, env } = setUp();
      world.up.add("a").add("b");
      const peer = await acquire();
      connection.giveUp(peer, engineError("SINK-FAILED", "busy", { retryAfterMs: 2 * MINUTE }));
      expect(connection.status).toMatchObject({ state: "backing-off", reason: "busy" });
      expect(connection.waitMs).toBeLessThanOrEqual(POLICY.backoffMs * (1 + POLICY.jitter));
      expect((await acquire()).endpoint).toBe("b");
      expect(peer.disconnected).toBe(true);
      await env.settle();
      connection.giveUp(peer, new Error("too late to say so"));
      expect(connection.status.state).toBe("up");
      expect(connection.waitMs).toBe(0);
    });
  });

  test("is left alone once the circuit is open, and then tried once", async () => {
    const { world, connection, failure, acquire, env } = setUp(["a"]);
    for (let i = 0; i < 4; i++) await failure();
    expect(connection.status).toMatchObject({ state: "suspended", failures: 4, reason: "a: refused" });
    const attempts = world.attempts.length;
    await env.advance(3000);
    const refused = await connection.acquire().catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "CONNECTION-SUSPENDED", kind: "transient", retryAfterMs: 2000 });
    expect(world.attempts.length).toBe(attempts);
    await env.advance(2000);
    await failure();
    expect(world.attempts.length).toBe(attempts + 1);
    expect(connection.status.state).toBe("suspended");
    world.up.add("a");
    await env.advance(5000);
    await acquire();
    expect(connection.status).toMatchObject({ state: "up", failures: 0, reason: "" });
  });

  test("passes over an endpoint that never answers, and ends what comes too late", async () => {
    const { world, acquire, env } = setUp();
    world.connectMs = 600;
    world.up.add("a");
    const failed = await env.until(acquire().catch(reportOf));
    expect(failed).toMatchObject({ code: "CONNECTION-FAILED" });
    expect(JSON.stringify(failed)).toContain("a: no answer in 500 ms");
    await env.advance(1000);
    expect(world.peers.every((peer) => peer.disconnected)).toBe(true);
  });

  test("finds out that a connection has gone silent, and makes another", async () => {
    const { world, connection, acquire, env } = setUp();
    world.up.add("a").add("b");
    const first = await acquire();
    world.silent.add("a");
    await env.advance(999);
    expect(connection.status.state).toBe("up");
    await env.advance(302);
    expect(connection.status).toMatchObject({ state: "backing-off", reason: "no answer to a probe in 300 ms" });
    expect(first.disconnected).toBe(true);
    world.up.delete("a");
    expect((await acquire()).endpoint).toBe("b");
    await env.advance(60_000);
    expect(connection.status.state).toBe("up");
  });

  test("is made again only when it is asked for", async () => {
    const { world, connection, acquire, env } = setUp(["a"]);
    world.up.add("a");
    (await acquire()).end(new Error("reset by peer"));
    await env.advance(60_000);
    expect(connection.status).toMatchObject({ state: "backing-off", reason: "reset by peer", connects: 1 });
    expect(world.attempts.length).toBe(1);
  });

  test("that is kept is made again though nobody asks, after the same waits, until it is given up", async () => {
    const { world, connection, env } = setUp(["a"]);
    world.up.add("a");
    (await env.until(connection.keep())).end(new Error("reset by peer"));
    await env.advance(200);
    expect(connection.status).toMatchObject({ state: "up", connects: 2, reason: "" });
    world.up.delete("a");
    world.peers[1]?.end(new Error("reset by peer"));
    await env.advance(3000);
    expect(connection.status).toMatchObject({ state: "suspended", failures: 4, reason: "a: refused" });
    expect(world.attempts.length).toBe(6);
    await env.advance(12_000);
    expect(world.attempts.length).toBe(8);
    world.up.add("a");
    await env.advance(5000);
    expect(connection.status).toMatchObject({ state: "up", connects: 3, failures: 0 });
    world.peers[2]?.end(undefined);
    await env.settle();
    await connection.disconnect();
    await env.idle();
    expect(world.attempts.length).toBe(9);
    expect((await env.until(connection.acquire())).disconnected).toBe(false);
    world.peers[3]?.end(undefined);
    await env.idle();
    expect(world.attempts.length).toBe(10);
  });

  test("that is kept and goes silent is found out and made again though nobody uses it", async () => {
    const { world, connection, env } = setUp();
    world.up.add("a").add("b");
    await env.until(connection.keep());
    world.silent.add("a");
    await env.advance(1400);
    world.up.delete("a");
    await env.advance(2000);
    expect(connection.status).toMatchObject({ state: "up", endpoint: "b" });
  });

  test("a connection under suspicion is probed at once", async () => {
    const { world, connection, acquire, env } = setUp();
    world.up.add("a");
    const peer = await acquire();
    await env.until(connection.suspect(peer));
    expect(connection.status.state).toBe("up");
    world.silent.add("a");
    await env.until(connection.suspect(peer));
    expect(connection.status.state).toBe("backing-off");
  });

  test("is probed though the one before it still owes its answer", async () => {
    const { env, world, connection, acquire } = setUp(["a"]);
    world.up.add("a");
    world.silent.add("a");
    const first = await acquire();
    const suspecting = connection.suspect(first);
    first.end(new Error("reset"));
    await env.settle();
    const second = await acquire();
    expect(second).not.toBe(first);
    void connection.suspect(second);
    await env.until(suspecting);
    await env.settle();
    await env.advance(POLICY.probeEveryMs + POLICY.probeTimeoutMs);
    expect(second.disconnected).toBe(true);
  });

  test("can be given up while it is waited for, leaves nothing behind, and remembers its failures", async () => {
    const { world, connection, failure, acquire, env } = setUp(["a"]);
    await failure();
    const waiting = failure();
    await connection.disconnect();
    expect(await waiting).toMatchObject({ code: "CONNECTION-CLOSED" });
    expect(connection.status.failures).toBe(1);
    world.up.add("a");
    const peer = await acquire();
    await connection.disconnect();
    expect(peer.disconnected).toBe(true);
    expect(connection.status.state).toBe("idle");
    await env.idle();
    expect((await acquire()).disconnected).toBe(false);
  });

  test("a circuit that is open stays open over a disconnection", async () => {
    const { connection, failure } = setUp(["a"]);
    for (let i = 0; i < 4; i++) await failure();
    await connection.disconnect();
    expect(await failure()).toMatchObject({ code: "CONNECTION-SUSPENDED" });
  });
});
