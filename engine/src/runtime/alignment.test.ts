/** Event-time alignment in a running graph: what one sees of it, and that it lets go where a revision ends. */
import { describe, expect, it } from "vitest";
import { RowBatch } from "../frame/batch.ts";
import { Positions } from "../frame/positions.ts";
import type { SourceConnector } from "../source/source-connector.ts";
import { sumWindow } from "../testing/simulation/committed-behaviors.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { Tally } from "../testing/tally.ts";
import { virtualEnv } from "../testing/virtual-env.ts";
import { GraphRuntime } from "./graph-runtime.ts";
import type { GraphProgram, ProgramNode } from "./program.ts";
import type { GraphStatus } from "./status.ts";

const MAX_DRIFT_MS = 1000;
/** Of event time, between the rows of a source. */
const STEP_MS = 100;
const PAST_ROWS = 100;
const CAPACITY = 8;

class Stand {
  readonly env = virtualEnv("alignment");
  readonly storage = new SimulatedLog({ env: this.env, random: this.env.random.fork("log") });
  /** Rows that the live source has so far. */
  live = 1;
  /** How far the past one was read. */
  read = 0;
  runtime!: GraphRuntime;

  async start({ suspended = false, program = this.#program() } = {}): Promise<GraphRuntime> {
    const { env } = this;
    this.runtime = new GraphRuntime(program, { env, log: this.storage.open(env), host: "host" });
    await this.env.until(this.runtime.start({ suspended }));
    return this.runtime;
  }

  taken(): number {
    return this.runtime.status().nodes.find(({ node }) => node === "tally")?.messagesIn ?? 0;
  }

  edge(name: string): GraphStatus["edges"][number] | undefined {
    return this.runtime.status().edges.find(({ edge }) => edge === name);
  }

  /** One source that comes to a node through a window and past it. */
  pastWindow(sizeMs: number, maxDriftMs: number): GraphProgram {
    const { nodes, ...program } = this.#program();
    const [past, , tally, sink] = nodes as [ProgramNode, ProgramNode, ProgramNode, ProgramNode];
    const window: ProgramNode = {
      name: "window",
      kind: "window",
      role: "committed",
      make: () => sumWindow({ sizeMs }),
    };
    const edges = [
      { from: "past", to: "tally" },
      { from: "past", to: "window" },
      { from: "window", to: "tally", input: 1 },
      { from: "tally", to: "sink" },
    ];
    return { ...program, nodes: [past, window, { ...tally, alignment: { maxDriftMs } } as ProgramNode, sink], edges };
  }

  #program(): GraphProgram {
    const sources = [this.#source("past", () => PAST_ROWS), this.#source("live", () => this.live)];
    const alignment = { maxDriftMs: MAX_DRIFT_MS };
    const mailbox = { capacity: CAPACITY };
    const tally: ProgramNode = {
      name: "tally",
      kind: "window",
      role: "committed",
      make: () => new Tally(),
      mailbox,
      alignment,
    };
    return {
      graph: "g",
      revision: 1,
      codeVersion: "1",
      durability: "durable",
      nodes: [
        ...sources,
        tally,
        { name: "sink", kind: "sink", role: "committed", isSink: true, make: () => new Tally() },
      ],
      edges: [
        { from: "past", to: "tally" },
        { from: "live", to: "tally", input: 1 },
        { from: "tally", to: "sink" },
      ],
    };
  }

  /** Rows `{ time }`, one at a time; never idle, and without an end. */
  #source(name: string, count: () => number): ProgramNode {
    const { env } = this;
    const pause = (): Promise<void> => new Promise((resolve) => void env.timers.after(5, resolve));
    const connector: SourceConnector = {
      capabilities: { replay: true, ordered: true, bounded: false },
      partitions: async () => ["0"],
      open: async (_, after) => {
        let at = after + 1;
        return {
          close: async () => undefined,
          read: async () => {
            await pause();
            if (at >= count())
              return { batch: new RowBatch([]), positions: Positions.NONE, through: at - 1, rejected: [] };
            const row = { id: at, key: "k", time: at * STEP_MS, value: 1 };
            if (name === "past") this.read = Math.max(this.read, at + 1);
            return { batch: new RowBatch([row]), positions: Positions.dense(at, 1), through: at++, rejected: [] };
          },
        };
      },
    };
    return { name, kind: "source", role: "source", connector, eventTime: { field: "time", boundMs: 0 } };
  }
}

describe("a node whose inputs are aligned", () => {
  it("stops the source that is ahead, says what it waits for, and goes on with the one behind", async () => {
    const stand = new Stand();
    await stand.start();
    await stand.env.advance(3000);
    const ahead = MAX_DRIFT_MS / STEP_MS + 1;
    expect(stand.taken()).toBe(ahead + stand.live);
    expect(stand.read).toBe(ahead + CAPACITY);
    expect(stand.edge("past -> tally")).toMatchObject({ depth: CAPACITY, aligning: { lanes: 1, behind: "live#0" } });
    expect(stand.edge("live -> tally")).not.toHaveProperty("aligning");
    expect(stand.runtime.status().nodes.find(({ node }) => node === "tally")?.pressure).toBe("alignment");
    stand.live = 50;
    await stand.env.advance(3000);
    expect(stand.taken()).toBe(ahead + stand.live - 1 + stand.live);
    stand.live = PAST_ROWS;
    await stand.env.advance(3000);
    expect(stand.taken()).toBe(2 * PAST_ROWS);
    expect(stand.edge("past -> tally")).not.toHaveProperty("aligning");
    await stand.env.until(stand.runtime.stop());
  });

  it("runs to the end of its revision, however far apart its inputs are told to stop (R22)", async () => {
    const stand = new Stand();
    await stand.start();
    await stand.env.advance(3000);
    await stand.env.until(stand.runtime.stop());
    const runtime = await stand.start({ suspended: true });
    const points = await stand.env.until(runtime.drainTo(runtime.cutTargets()));
    const past = points.find(({ origin }) => origin === "past#0");
    expect(past?.pos).toBeGreaterThanOrEqual(MAX_DRIFT_MS / STEP_MS + CAPACITY);
    await stand.env.until(runtime.stop());
  });

  it.each([
    ["goes on", MAX_DRIFT_MS, true],
    ["would wait for itself", STEP_MS, false],
  ])("%s with a drift of %d ms where a window holds its source back by 1 s", async (_, maxDriftMs, isRead) => {
    const stand = new Stand();
    await stand.start({ program: stand.pastWindow(MAX_DRIFT_MS, maxDriftMs) });
    await stand.env.advance(3000);
    expect(stand.read === PAST_ROWS).toBe(isRead);
    await stand.env.until(stand.runtime.stop());
  });
});
