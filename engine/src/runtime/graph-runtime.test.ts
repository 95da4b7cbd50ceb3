import { filter, map } from "rxjs";
import { describe, expect, it } from "vitest";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { type PureBehavior, pureResult } from "../behavior/pure-behavior.ts";
import { type Message, rxBehavior, rxEach } from "../behavior/rx-behavior.ts";
import { engineError } from "../errors.ts";
import { RowBatch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import { Positions } from "../frame/positions.ts";
import type { SinkGuarantee } from "../sink/sink-guarantee.ts";
import type { SourceConnector } from "../source/source-connector.ts";
import { sampleEvent, to } from "../testing/sample-events.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { BUG, POISON, Tally } from "../testing/tally.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import type { Timers } from "../time/clock.ts";
import { GraphRuntime, type LifecycleEvent } from "./graph-runtime.ts";
import type { CommittedNode, GraphProgram, ProgramEdge, ProgramNode } from "./program.ts";

const BAD = "bad";
const REFUSED = "refused";
const UNDELIVERABLE = "undeliverable";

/** A list as a source; rows called `bad` are rejected by it. */
function listSource(
  rows: readonly Json[],
  delayMs = 0,
  wait: (ms: number) => Promise<void> = async () => undefined,
): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    open: async (_partition, after) => {
      let at = after + 1;
      return {
        read: async (max) => {
          if (delayMs > 0) await wait(delayMs);
          if (at >= rows.length) return "end";
          const first = at;
          const part = rows.slice(at, at + max);
          at += part.length;
          const good = part.flatMap((row, i) => (row === BAD ? [] : [i]));
          return {
            batch: new RowBatch(good.map((i) => part[i] as Json)),
            positions: Positions.dense(first, part.length).select(Uint32Array.from(good)),
            through: at - 1,
            rejected: part.flatMap((row, i) =>
              row === BAD ? [{ pos: first + i, error: engineError("MSG-DECODE", "no"), input: row }] : [],
            ),
          };
        },
        close: async () => undefined,
      };
    },
  };
}

/** Passes rows on one by one; refuses some. */
function passOn(): PureBehavior {
  return {
    kind: "pure",
    ports: ["out"],
    transform(batch) {
      const rows = batch.rows();
      const kept = rows.flatMap((row, i) => (row === REFUSED ? [] : [i]));
      const failures = rows.flatMap((row, index) => (row === REFUSED ? [{ index, error: new Error("refused") }] : []));
      return pureResult(batch.select(Uint32Array.from(kept)), Uint32Array.from(kept), failures);
    },
  };
}

class CollectingSink implements CommittedBehavior {
  readonly kind = "committed";
  readonly ports: readonly string[] = [];
  readonly delivered: Json[];
  readonly #failuresToOpen: unknown[];
  #pending: Json[] = [];

  constructor(delivered: Json[], failuresToOpen: unknown[] = []) {
    this.delivered = delivered;
    this.#failuresToOpen = failuresToOpen;
  }

  async open(): Promise<void> {
    const failure = this.#failuresToOpen.shift();
    if (failure !== undefined) throw failure;
  }

  take(...[, slice]: Parameters<CommittedBehavior["take"]>): void {
    if (slice.batch.rows().includes(UNDELIVERABLE)) throw new Error("the target refuses it");
    this.#pending.push(...slice.batch.rows());
  }

  finish(): void {
    this.delivered.push(...this.#pending);
    this.#pending = [];
  }

  seal(): void {}

  discard(): void {
    this.#pending = [];
  }

  fold(): void {}
}

/** A source that is there and has nothing to give. */
function endless(name: string): ProgramNode {
  const connector: SourceConnector = {
    capabilities: { replay: true, ordered: true, bounded: false },
    partitions: async () => ["0"],
    open: async () => ({ read: () => new Promise(() => undefined), close: async () => undefined }),
  };
  return { name, kind: "source", role: "source", connector };
}

function chainOf(nodes: readonly ProgramNode[]): ProgramEdge[] {
  return nodes.slice(1).map((node, i) => ({ from: (nodes[i] as ProgramNode).name, to: node.name }));
}

class Stand {
  readonly env = virtualEnv("runtime");
  readonly storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") });
  readonly delivered: Json[] = [];
  readonly lifecycle: LifecycleEvent[] = [];
  readonly failuresToOpen: unknown[] = [];
  /** How many the graph has set. */
  timers = 0;
  runtime!: GraphRuntime;

  source(rows: readonly Json[], delayMs = 0): ProgramNode {
    return {
      name: "src",
      kind: "source",
      role: "source",
      connector: listSource(rows, delayMs, (ms) => this.wait(ms)),
      frameMessagesMax: 8,
    };
  }

  pure(name: string, more: Partial<ProgramNode> = {}): ProgramNode {
    return { name, kind: "map", role: "pure", make: passOn, ...more } as ProgramNode;
  }

  tally(make: CommittedNode["make"] = () => new Tally()): ProgramNode {
    return { name: "tally", kind: "window", role: "committed", make };
  }

  sink(): ProgramNode {
    const make = (): CommittedBehavior => new CollectingSink(this.delivered, this.failuresToOpen);
    return { name: "sink", kind: "sink", role: "committed", make, isSink: true };
  }

  /** The nodes one after another, or along `edges`. */
  async start(
    nodes: readonly ProgramNode[],
    more: Partial<GraphProgram> = {},
    runsHere?: (node: string) => boolean,
  ): Promise<GraphRuntime> {
    await this.env.until(this.begin(nodes, more, runsHere));
    return this.runtime;
  }

  begin(
    nodes: readonly ProgramNode[],
    more: Partial<GraphProgram> = {},
    runsHere?: (node: string) => boolean,
  ): Promise<void> {
    const program: GraphProgram = {
      graph: "g",
      revision: 1,
      codeVersion: "1",
      durability: "durable",
      nodes,
      edges: chainOf(nodes),
      supervision: { jitter: 0 },
      ...more,
    };
    const timers: Timers = {
      after: (delayMs, fire) => {
        this.timers++;
        return this.env.timers.after(delayMs, fire);
      },
    };
    this.runtime = new GraphRuntime(program, {
      env: { ...this.env, timers },
      log: this.storage.open(this.env),
      host: "host",
      runsHere,
      onLifecycle: (event) => this.lifecycle.push(event),
    });
    const starting = this.runtime.start();
    starting.catch(() => undefined);
    return starting;
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.env.timers.after(ms, resolve));
  }

  stateOf(node: string): string | undefined {
    return this.runtime.status().nodes.find((n) => n.node === node)?.state;
  }
}

const codeOf = ({ code }: { readonly code?: string }): string => code ?? "no code";

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("a graph", () => {
  it("runs to its end, tells so once, and has delivered everything", async () => {
    const stand = new Stand();
    const runtime = await stand.start([stand.source(numbers(100)), stand.pure("map"), stand.tally(), stand.sink()]);
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual(numbers(100).map((n) => (n * (n + 1)) / 2));
    expect(runtime.state).toBe("finished");
    expect(stand.lifecycle).toEqual([{ type: "GraphFinished" }]);
    expect(runtime.status()).toMatchObject({ state: "finished", messagesIn: 100, messagesOut: 100, deadLettered: 0 });
    await stand.env.idle();
  });

  it("has counters that balance: rows in = rows out + dead letters + dropped", async () => {
    const stand = new Stand();
    const rows = [1, BAD, 2, REFUSED, 3, POISON, BAD, 4, REFUSED, 5];
    const runtime = await stand.start([stand.source(rows), stand.pure("map"), stand.tally(), stand.sink()]);
    await stand.env.until(runtime.whenFinished);
    const status = runtime.status();
    expect(status).toMatchObject({ messagesIn: 10, messagesOut: 5, deadLettered: 5, dropped: 0 });
    const dead = Object.fromEntries(status.nodes.map((node) => [node.node, node.deadLettered]));
    expect(dead).toEqual({ src: 2, map: 2, tally: 1, sink: 0 });
    for (const node of status.nodes)
      expect(node.messagesIn).toBe(node.messagesOut + node.consumed + node.dropped + node.deadLettered);
  });

  it("does not count as delivered what its sink gave up", async () => {
    const stand = new Stand();
    const runtime = await stand.start([stand.source([1, 2, UNDELIVERABLE, 4]), stand.sink()]);
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual([1, 2, 4]);
    expect(runtime.status()).toMatchObject({ messagesIn: 4, messagesOut: 3, deadLettered: 1 });
  });

  it("runs RxJS pipes as nodes, over frames and over messages, and dead-letters what fails in them", async () => {
    const stand = new Stand();
    const tenfold = (message: Message): Message => message.map((message.value as number) * 10);
    const frames = (): PureBehavior => rxBehavior((in$) => in$.pipe(map((messages) => messages.map(tenfold))));
    const messages = (): PureBehavior =>
      rxEach((in$) =>
        in$.pipe(
          filter(({ value }) => (value as number) > 20),
          map((message) => {
            if (message.value === 50) throw new Error("fifty");
            return message;
          }),
        ),
      );
    const pipes = [stand.pure("frames", { make: frames }), stand.pure("messages", { make: messages })];
    const runtime = await stand.start([stand.source(numbers(20)), ...pipes, stand.sink()]);
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual(numbers(20).flatMap((n) => (n < 3 || n === 5 ? [] : [10 * n])));
    expect(runtime.status()).toMatchObject({ messagesIn: 20, messagesOut: 17, deadLettered: 1 });
  });

  it("counts as dropped what lossy overflow shed, once", async () => {
    const stand = new Stand();
    const lossy = stand.pure("map", { mailbox: { capacity: 4, overflow: "drop-oldest" } });
    const runtime = await stand.start([stand.source(numbers(100)), lossy, stand.sink()]);
    await stand.env.until(runtime.whenFinished);
    const { messagesIn, messagesOut, dropped } = runtime.status();
    expect(messagesOut).toBeLessThan(100);
    expect([messagesIn, messagesOut + dropped]).toEqual([100, 100]);
    expect(stand.delivered).toHaveLength(messagesOut);
  });

  it("counts a row once that was read again after a node restarted", async () => {
    const stand = new Stand();
    let isBroken = true;
    const brokenOnce = (): CommittedBehavior => {
      const tally = new Tally();
      const take = tally.take.bind(tally);
      tally.take = (draft, slice) => {
        if (isBroken && slice.batch.rows().includes(40)) {
          isBroken = false;
          throw engineError("CREDIT-OVERRUN", "a bug that passes");
        }
        take(draft, slice);
      };
      return tally;
    };
    const runtime = await stand.start([
      stand.source(numbers(100)),
      stand.pure("map"),
      stand.tally(brokenOnce),
      stand.sink(),
    ]);
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual(numbers(100).map((n) => (n * (n + 1)) / 2));
    expect(runtime.status()).toMatchObject({ messagesIn: 100, messagesOut: 100 });
    expect(runtime.status().nodes.find((n) => n.node === "tally")?.restarts).toBe(1);
  });

  it("goes on after a restart of the host where the log stands", async () => {
    const stand = new Stand();
    const rows = numbers(200);
    const graph = () => [stand.source(rows, 10), stand.tally(), stand.sink()];
    const first = await stand.start(graph());
    await stand.env.advance(60);
    await stand.env.until(first.stop());
    expect(stand.delivered.length).toBeGreaterThan(0);
    expect(stand.delivered.length).toBeLessThan(200);
    const second = await stand.start(graph());
    await stand.env.until(second.whenFinished);
    expect(new Set(stand.delivered)).toEqual(new Set(rows.map((n) => (n * (n + 1)) / 2)));
    expect(stand.delivered.length - 200).toBeLessThanOrEqual(8 * 32);
  });

  it("takes nothing in while it is suspended, and goes on when it is resumed", async () => {
    const stand = new Stand();
    const runtime = await stand.start([stand.source(numbers(200), 10), stand.tally(), stand.sink()]);
    await stand.env.advance(50);
    runtime.suspend();
    await stand.env.advance(1000);
    const delivered = stand.delivered.length;
    expect(delivered).toBeGreaterThan(0);
    await stand.env.advance(60_000);
    expect(stand.delivered).toHaveLength(delivered);
    expect(runtime.status().state).toBe("suspended");
    await stand.env.until(runtime.resume());
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toHaveLength(200);
  });

  it.each([
    ["two fused nodes and", false],
    ["a source that has ended beside", true],
  ])("with %s a source that has nothing to give hardly wakes up", async (_what, hasEnded) => {
    const stand = new Stand();
    const make = (): PureBehavior => ({ ...passOn(), row: (row) => row });
    const nodes = [endless("src"), stand.pure("one", { make }), stand.pure("two", { make }), stand.sink()];
    const ended = { ...stand.source(numbers(10)), name: "ended" };
    const edges = [...chainOf(nodes), { from: "ended", to: "sink" }];
    await (hasEnded ? stand.start([...nodes, ended], { edges }) : stand.start(nodes));
    await stand.env.advance(60_000);
    expect(stand.delivered).toHaveLength(hasEnded ? 10 : 0);
    const before = stand.timers;
    await stand.env.advance(60_000);
    expect(stand.timers - before).toBeLessThanOrEqual(hasEnded ? 120 : 0);
  });

  it("stops for good when it is told to", async () => {
    const stand = new Stand();
    const runtime = await stand.start([stand.source(numbers(200), 10), stand.sink()]);
    await stand.env.advance(30);
    await stand.env.until(runtime.stop());
    const delivered = stand.delivered.length;
    await stand.env.advance(60_000);
    expect(stand.delivered).toHaveLength(delivered);
    expect(runtime.status().state).toBe("stopped");
    expect(stand.stateOf("sink")).toBe("stopped");
  });

  it("that is stopped while it starts does not run on, at whatever moment that is", async () => {
    const outcomes = new Set<string>();
    for (let atMs = 0; atMs < 60; atMs++) {
      const stand = new Stand();
      stand.storage.faults.commitMs = 8;
      let [opens, closes] = [0, 0];
      const slow = (behavior: CommittedBehavior): CommittedBehavior =>
        Object.assign(behavior, {
          open: () => stand.wait(15).then(() => void opens++),
          close: async () => void closes++,
        });
      const source = stand.source(numbers(50)) as Extract<ProgramNode, { role: "source" }>;
      const partitions = (): Promise<readonly string[]> => stand.wait(10).then(() => ["0"]);
      const connector = { ...source.connector, partitions };
      const sink = { ...stand.sink(), make: () => slow(new CollectingSink(stand.delivered)) } as ProgramNode;
      const tally = stand.tally(() => slow(new Tally()));
      const starting = stand.begin([{ ...source, connector }, stand.pure("map"), tally, sink]);
      await stand.env.advance(atMs);
      await stand.env.until(stand.runtime.stop());
      const delivered = stand.delivered.length;
      const timers = stand.timers;
      await stand.env.advance(60_000);
      outcomes.add(await starting.then(() => "started", codeOf));
      expect([stand.runtime.state, stand.delivered.length, stand.timers]).toEqual(["stopped", delivered, timers]);
      expect(closes).toBeGreaterThanOrEqual(opens);
    }
    expect([...outcomes].sort()).toEqual(["GRAPH-STOPPED", "started"]);
  });

  it("that finds another owner while it starts, starts no more of its nodes", async () => {
    const stand = new Stand();
    stand.failuresToOpen.push(engineError("NODE-FENCED", "another owner"));
    let opens = 0;
    const source = stand.source(numbers(5)) as Extract<ProgramNode, { role: "source" }>;
    const open: SourceConnector["open"] = async (...where) => {
      opens++;
      return source.connector.open(...where);
    };
    await stand.start([{ ...source, connector: { ...source.connector, open } }, stand.sink()]);
    await stand.env.advance(60_000);
    expect([stand.runtime.status().state, opens]).toEqual(["failed", 0]);
  });

  it("is refused before anything runs when it cannot be planned", async () => {
    const stand = new Stand();
    await expect(stand.start([stand.source([1]), stand.pure("map")])).rejects.toMatchObject({ code: "PLAN-DANGLING" });
  });
});

describe("outputs of a relaxed graph", () => {
  async function sentEarly(
    guarantee: SinkGuarantee | undefined,
    runsHere?: (node: string) => boolean,
  ): Promise<number> {
    const stand = new Stand();
    const sink = { ...stand.sink(), make: () => Object.assign(new CollectingSink([]), { guarantee }) } as ProgramNode;
    const slowly = (): CommittedBehavior => {
      const tally = new Tally();
      const take = tally.take.bind(tally);
      tally.take = (draft, slice) => {
        stand.storage.faults.commitMs = 100_000;
        take(draft, slice);
      };
      return tally;
    };
    const nodes = [stand.source(numbers(10)), stand.tally(slowly), sink];
    const runtime = await stand.start(nodes, { durability: "relaxed" }, runsHere);
    await stand.env.advance(500);
    const { messages = 0 } = runtime.edge("tally -> sink") ?? {};
    await stand.env.until(runtime.stop());
    return messages;
  }

  it.each([undefined, "offset"] as const)(
    "leave early to a receiver that goes back with the log: %s",
    async (guarantee) => {
      expect(await sentEarly(guarantee)).toBe(10);
    },
  );

  it.each(["key", "transaction", "at-least-once", "best-effort"] as const)(
    "wait for the disk before a target that keeps what it has: %s",
    async (guarantee) => {
      expect(await sentEarly(guarantee)).toBe(0);
    },
  );

  it("wait for the disk before a host with a log of its own", async () => {
    expect(await sentEarly(undefined, (node) => node !== "sink")).toBe(0);
  });
});

describe("a node of a graph", () => {
  it("that meets a bug again and again is parked with its reason, and starts anew when the graph is resumed", async () => {
    const stand = new Stand();
    let isFixed = false;
    const buggy = (): CommittedBehavior => {
      const tally = new Tally();
      const take = tally.take.bind(tally);
      tally.take = (draft, slice) => {
        if (!isFixed && slice.batch.rows().includes(3)) throw engineError("CREDIT-OVERRUN", "a bug");
        take(draft, slice);
      };
      return tally;
    };
    const runtime = await stand.start([stand.source(numbers(5)), stand.tally(buggy), stand.sink()]);
    await stand.env.advance(120_000);
    expect(stand.stateOf("tally")).toBe("parked");
    const tally = runtime.status().nodes.find((n) => n.node === "tally");
    expect(tally).toMatchObject({
      restarts: 5,
      lastError: { code: "CREDIT-OVERRUN" },
      reason: "CREDIT-OVERRUN: a bug",
    });
    expect(stand.lifecycle.at(-1)).toMatchObject({ type: "NodeParked", nodes: ["tally"] });
    expect(stand.stateOf("sink")).toBe("running");
    isFixed = true;
    await stand.env.until(runtime.resume());
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual([1, 3, 6, 10, 15]);
  });

  it("that cannot open its target is started again with back-off, and the graph goes on", async () => {
    const stand = new Stand();
    stand.failuresToOpen.push(...Array<unknown>(3).fill(engineError("SINK-FAILED", "no target")));
    const runtime = await stand.start([stand.source(numbers(10)), stand.tally(), stand.sink()]);
    expect(stand.stateOf("sink")).toBe("backing-off");
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toHaveLength(10);
    const waits = stand.lifecycle.flatMap((event) => (event.type === "NodeRestarting" ? [event.delayMs] : []));
    expect(waits).toEqual([100, 200, 400]);
  });

  it("that cannot let go of its target is started again, and stopped, all the same", async () => {
    const stand = new Stand();
    stand.failuresToOpen.push(new Error("no target"));
    const sink = stand.sink() as ProgramNode & CommittedNode;
    const make = (): CommittedBehavior =>
      Object.assign(sink.make(), { close: () => Promise.reject(new Error("the target is gone")) });
    const runtime = await stand.start([stand.source([1, 2, 3]), { ...sink, make }]);
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual([1, 2, 3]);
    await stand.env.until(runtime.stop());
    expect(runtime.state).toBe("stopped");
  });

  it("that is pure and fails for a transient reason is started again and loses nothing", async () => {
    const stand = new Stand();
    let failures = 2;
    const make = (): PureBehavior => ({
      ...passOn(),
      transform(batch) {
        if (failures-- > 0) throw engineError("SOURCE-FAILED", "table not there");
        return passOn().transform(batch);
      },
    });
    const runtime = await stand.start([stand.source(numbers(50)), stand.pure("map", { make }), stand.sink()]);
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual(numbers(50));
    expect(runtime.status()).toMatchObject({ messagesIn: 50, messagesOut: 50, deadLettered: 0 });
  });

  it("that finds another owner ends the graph instead of fighting over it (R26)", async () => {
    const stand = new Stand();
    await stand.start([stand.source(numbers(200), 10), stand.tally(), stand.sink()]);
    await stand.env.advance(30);
    await stand.env.until(stand.storage.open(stand.env).append(to("g/tally", sampleEvent())));
    await stand.env.advance(60_000);
    expect(stand.runtime.status().state).toBe("failed");
    expect(stand.runtime.status().nodes.find((n) => n.node === "tally")?.lastError?.code).toBe("NODE-FENCED");
    expect(stand.delivered.length).toBeLessThan(200);
  });

  it("shows the bug that it met while it backs off", async () => {
    const stand = new Stand();
    await stand.start([stand.source([1, BUG]), stand.tally(), stand.sink()]);
    await stand.env.advance(50);
    expect(stand.stateOf("tally")).toBe("backing-off");
    expect(stand.runtime.status().nodes.find((n) => n.node === "tally")?.reason).toContain("a bug");
  });
});

describe("a feedback loop", () => {
  const ROUNDS = 20;

  /** Sends every message round many times before it lets it go. */
  function goingRound(): CommittedBehavior {
    return {
      kind: "committed",
      ports: ["out", "again"],
      take(draft, slice) {
        const rounds = slice.batch.rows() as readonly number[];
        draft.emit("again", new RowBatch(rounds.filter((n) => n < ROUNDS).map((n) => n + 1)));
        draft.emit("out", new RowBatch(rounds.filter((n) => n === ROUNDS)));
      },
      seal: () => undefined,
      discard: () => undefined,
      fold: () => undefined,
    };
  }

  it("that is fuller than its edge and its outbox drains: outer input waits, never the loop (R25)", async () => {
    const stand = new Stand();
    const total = 60_000;
    const loop: ProgramNode = {
      name: "loop",
      kind: "calculator",
      role: "committed",
      make: goingRound,
      mailbox: { capacity: 100 },
    };
    const edges: ProgramEdge[] = [
      { from: "src", to: "loop" },
      { from: "loop", port: "again", to: "loop", input: 1, feedback: true },
      { from: "loop", to: "sink" },
    ];
    const source = { ...stand.source(Array<number>(total).fill(0)), frameMessagesMax: 4096 } as ProgramNode;
    await stand.start([source, loop, stand.sink()], { edges });
    await stand.env.advance(20_000);
    expect(stand.delivered).toHaveLength(total);
  });
});

describe("neighbouring pure nodes", () => {
  const doubled = (): PureBehavior => {
    const row = (value: Json): Json => (value as number) * 2;
    return {
      kind: "pure",
      ports: ["out"],
      row,
      transform: (batch) => pureResult(new RowBatch(batch.rows().map(row))),
    };
  };

  it("that run as one are still seen as nodes and edges of their own", async () => {
    const stand = new Stand();
    const maps = ["a", "b", "c"].map((name) => stand.pure(name, { make: doubled }));
    const runtime = await stand.start([stand.source(numbers(20)), ...maps, stand.sink()]);
    await stand.env.until(runtime.whenFinished);
    expect(stand.delivered).toEqual(numbers(20).map((n) => n * 8));
    const { nodes, edges } = runtime.status();
    expect(nodes.map((n) => n.messagesIn)).toEqual(Array(5).fill(20));
    expect(edges.map((e) => [e.edge, e.messages])).toEqual([
      ["src -> a", 20],
      ["a -> b", 20],
      ["b -> c", 20],
      ["c -> sink", 20],
    ]);
    expect(runtime.edge("a -> b")?.newest).not.toBeNull();
  });

  it("that branch and meet again deliver every message on both ways (R1)", async () => {
    const stand = new Stand();
    const edges = ["src a", "src b", "a sink", "b sink"].map((text) => {
      const [from = "", to = ""] = text.split(" ");
      return { from, to };
    });
    const maps = ["a", "b"].map((name) => stand.pure(name, { make: doubled }));
    const runtime = await stand.start([stand.source(numbers(50)), ...maps, stand.sink()], { edges });
    await stand.env.until(runtime.whenFinished);
    const count = new Map<Json, number>();
    for (const row of stand.delivered) count.set(row, (count.get(row) ?? 0) + 1);
    expect([...count.values()]).toEqual(Array(50).fill(2));
  });
});
