/** A source ten times faster than its sink: what waits is bounded by the mailboxes between them, and memory stays flat. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import type { CommittedBehavior } from "../src/behavior/committed-behavior.ts";
import { type PureBehavior, pureResult } from "../src/behavior/pure-behavior.ts";
import { approximateBytes } from "../src/frame/approximate-bytes.ts";
import { RowBatch } from "../src/frame/batch.ts";
import type { Json } from "../src/frame/json.ts";
import { Positions } from "../src/frame/positions.ts";
import type { MailboxOptions } from "../src/mailbox/mailbox.ts";
import { GraphRuntime } from "../src/runtime/graph-runtime.ts";
import type { ProgramNode } from "../src/runtime/program.ts";
import type { SourceConnector } from "../src/source/source-connector.ts";
import { SimulatedLog } from "../src/testing/simulation/simulated-log.ts";
import { type VirtualEnv, virtualEnv } from "../src/testing/virtual-env.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const FRAME = 64;
const SINK_MS = 10;
const OVERLOAD = 10;
const TEXT = "x".repeat(400);
/** A row that no other shares memory with. */
const rowOf = (id: number): Json => ({ id, text: `${TEXT}${id}`.split("").reverse().join("") });
const ROW_BYTES = approximateBytes(new RowBatch([rowOf(1_000_000)]));
const GROWTH_BYTES_MAX = 4 * 1024 * 1024;

const waitOf =
  (env: VirtualEnv) =>
  (ms: number): Promise<void> =>
    new Promise((resolve) => void env.timers.after(ms, resolve));

class Overloaded {
  readonly env = virtualEnv("overload");
  given = 0;
  taken = 0;
  wrong = 0;
  heldMax = 0;
  depthMax = 0;
  readonly #wait = waitOf(this.env);
  readonly #runtime: GraphRuntime;

  constructor(mailbox: MailboxOptions) {
    const nodes: ProgramNode[] = [
      { name: "fast", kind: "source", role: "source", connector: this.#source(), frameMessagesMax: FRAME },
      { name: "passing", kind: "map", role: "pure", make: passing, mailbox },
      { name: "slow", kind: "sink", role: "committed", isSink: true, make: () => this.#sink(), mailbox },
    ];
    const edges = [
      { from: "fast", to: "passing" },
      { from: "passing", to: "slow" },
    ];
    const log = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") }).open(this.env);
    this.#runtime = new GraphRuntime(
      { graph: "g", revision: 1, codeVersion: "1", durability: "durable", nodes, edges },
      { env: this.env, log, host: "host" },
    );
  }

  async start(): Promise<void> {
    await this.env.until(this.#runtime.start());
  }

  async stop(): Promise<void> {
    await this.env.until(this.#runtime.stop());
  }

  get blockedMs(): number {
    return this.#runtime.status().nodes.find(({ node }) => node === "fast")?.blockedMs ?? 0;
  }

  #source(): SourceConnector {
    const wait = this.#wait;
    return {
      capabilities: { replay: true, ordered: true, bounded: false },
      partitions: async () => ["0"],
      open: async (_partition, after) => {
        this.given = after + 1;
        return {
          read: async (most) => {
            await wait(SINK_MS / OVERLOAD);
            const from = this.given;
            const batch = new RowBatch(Array.from({ length: most }, (_, i) => rowOf(from + i)));
            this.given += most;
            return { batch, positions: Positions.dense(from, most), through: this.given - 1, rejected: [] };
          },
          close: async () => undefined,
        };
      },
    };
  }

  #sink(): CommittedBehavior {
    return {
      kind: "committed",
      ports: [],
      stepMessagesMax: FRAME,
      take: (_draft, slice) => {
        for (const row of slice.batch.rows()) if ((row as { readonly id: number }).id !== this.taken++) this.wrong++;
      },
      finish: async () => {
        await this.#wait(SINK_MS);
        this.heldMax = Math.max(this.heldMax, this.given - this.taken);
        for (const { depth } of this.#runtime.status().edges) this.depthMax = Math.max(this.depthMax, depth);
      },
      seal: () => undefined,
      discard: () => undefined,
      fold: () => undefined,
    };
  }
}

const passing = (): PureBehavior => ({ kind: "pure", ports: ["out"], transform: (batch) => pureResult(batch) });

describe("a source that is ten times faster than its sink", () => {
  it.each<[string, MailboxOptions, number]>([
    ["messages", { capacity: 512 }, 512],
    ["bytes", { bytesMax: 256 * ROW_BYTES }, 256],
  ])("is held by mailboxes bounded in %s, and memory stays flat", async (_, mailbox, most) => {
    const graph = new Overloaded(mailbox);
    await graph.start();
    await graph.env.advance(1000);
    collect();
    const [heap, taken] = [process.memoryUsage().heapUsed, graph.taken];
    await graph.env.advance(2000);
    collect();
    const growth = process.memoryUsage().heapUsed - heap;
    const { given, blockedMs } = graph;
    await graph.stop();
    expect(growth).toBeLessThan(GROWTH_BYTES_MAX);
    // A mailbox overruns its bound by one frame; one more is in the hands of each node.
    expect(graph.depthMax).toBeLessThanOrEqual(most + FRAME);
    expect(graph.heldMax).toBeLessThanOrEqual(2 * (most + FRAME) + 3 * FRAME);
    // The source was held back, and not by much more than the sink's pace: otherwise this would show nothing.
    expect(graph.heldMax).toBeGreaterThan(most);
    expect(blockedMs).toBeGreaterThan(1000);
    expect(graph.taken - taken).toBeGreaterThan((2000 / SINK_MS) * FRAME * 0.8);
    expect(given * ROW_BYTES).toBeGreaterThan(2 * GROWTH_BYTES_MAX);
    expect(graph.wrong).toBe(0);
  });
});
