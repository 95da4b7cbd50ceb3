import { describe, expect, it } from "vitest";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { RowBatch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";
import { Positions } from "../frame/positions.ts";
import type { EventLog } from "../log/event-log.ts";
import type { SourceConnector } from "../source/source-connector.ts";
import { flatMapRows } from "../testing/simulation/pure-behaviors.ts";
import { SimulatedLog } from "../testing/simulation/simulated-log.ts";
import { type VirtualEnv, type VirtualProcess, virtualEnv } from "../testing/virtual-env.ts";
import { GraphRuntime } from "./graph-runtime.ts";
import type { GraphProgram } from "./program.ts";
import type { CutPoint } from "./revision-cut.ts";

const TOTAL = 4000;

/** Rows `{ id }` at sparse positions 0, 10, 20, …, `batch` at a time. */
function rows(process: VirtualProcess, batch: number): SourceConnector {
  return {
    capabilities: { replay: true, ordered: true, bounded: true },
    partitions: async () => ["0"],
    open: async (_partition, after) => {
      let next = Math.floor(after / 10) + 1;
      return {
        close: async () => undefined,
        read: async () => {
          await new Promise<void>((resolve) => void process.env.timers.after(5, resolve));
          if (next >= TOTAL) return "end";
          const ids = Array.from({ length: Math.min(batch, TOTAL - next) }, (_, i) => next + i);
          next += ids.length;
          const positions = Positions.of(Float64Array.from(ids, (id) => id * 10));
          return { batch: new RowBatch(ids.map((id) => ({ id }))), positions, through: (next - 1) * 10, rejected: [] };
        },
      };
    },
  };
}

/** Logs every row that it takes. */
function collector(seen: Json[]): CommittedBehavior {
  let taken: Json[] = [];
  return {
    kind: "committed",
    ports: [],
    take: (_, slice) => void taken.push(...slice.batch.rows()),
    finish(draft) {
      if (taken.length > 0) draft.change(taken as never);
    },
    seal() {
      taken = [];
    },
    discard() {
      taken = [];
    },
    fold: (event) => void seen.push(...(event as Json[])),
  };
}

interface Revision {
  readonly revision: number;
  readonly copies: number;
  /** Name of the expanding node, which is part of the lane's name. */
  readonly node: string;
  readonly begins?: readonly CutPoint[];
}

function program(
  { revision, copies, node, begins }: Revision,
  process: VirtualProcess,
  batch: number,
  folded: Json[],
): GraphProgram {
  const copy = (row: Json): Json[] =>
    Array.from({ length: copies }, (_, copy) => ({ ...(row as object), copy, revision }));
  return {
    graph: "g",
    revision,
    codeVersion: `r${revision}`,
    durability: "durable",
    nodes: [
      { name: "source", kind: "source", role: "source", connector: rows(process, batch) },
      { name: node, kind: "map", role: "pure", make: () => flatMapRows((row) => copy(row)) },
      { name: "sink", kind: "sink", role: "committed", isSink: true, make: () => collector(folded) },
    ],
    edges: [
      { from: "source", to: node },
      { from: node, to: "sink" },
    ],
    ...(begins === undefined ? {} : { begins }),
  };
}

/** What the sink's stream says it has taken, from a fresh fold. */
async function effects(
  env: VirtualEnv,
  log: EventLog,
  process: VirtualProcess,
  last: Revision,
): Promise<readonly Json[]> {
  const folded: Json[] = [];
  const runtime = new GraphRuntime(program(last, process, 7, folded), { env: process.env, log, host: "auditor" });
  await env.until(runtime.start());
  await env.until(runtime.stop());
  return folded;
}

const OLD = { revision: 1, copies: 2, node: "twice" };

describe("a change of revision", () => {
  it("shows every position to exactly one revision, whatever the new lanes are called", async () => {
    const env = virtualEnv("revision");
    const storage = new SimulatedLog({ env, random: env.random.fork("log") });
    const host = env.process("host");
    const log = storage.open(host.env);
    const before = new GraphRuntime(program(OLD, host, 13, []), { env: host.env, log, host: "a" });
    await env.until(before.start());
    await env.advance(300);
    const targets = before.cutTargets();
    const begins = await env.until(before.drainTo(targets));
    await env.until(before.stop());
    const next = { revision: 2, copies: 3, node: "thrice", begins };
    const after = new GraphRuntime(program(next, host, 9, []), { env: host.env, log, host: "a" });
    await env.until(after.start());
    await env.until(after.whenFinished);
    await env.until(after.stop());

    const taken = await effects(env, log, env.process("auditor"), next);
    const byId = new Map<number, Set<number>>();
    for (const row of taken as { id: number; revision: number }[])
      byId.set(row.id, (byId.get(row.id) ?? new Set()).add(row.revision));
    const [cut] = begins;
    expect(byId.size).toBe(TOTAL);
    expect((cut as CutPoint).pos).toBe(targets[0]?.pos);
    expect(
      [...byId].every(([id, revisions]) => [...revisions].join() === (id * 10 <= (cut as CutPoint).pos ? "1" : "2")),
    ).toBe(true);
    expect(taken.length).toBe([...byId.keys()].reduce((n, id) => n + (id * 10 <= (cut as CutPoint).pos ? 2 : 3), 0));
  });

  it("lies beyond everything that a host which died may have sent", async () => {
    const env = virtualEnv("horizon");
    const storage = new SimulatedLog({ env, random: env.random.fork("log") });
    const first = env.process("first");
    const seen: number[] = [];
    const firstProgram = program(OLD, first, 50, []);
    const watched = {
      ...firstProgram,
      nodes: firstProgram.nodes.map((node) =>
        node.role === "pure"
          ? {
              ...node,
              make: () =>
                flatMapRows((row) => {
                  seen.push((row as unknown as { id: number }).id);
                  return [row];
                }),
            }
          : node,
      ),
    };
    storage.faults.full = false;
    const dying = new GraphRuntime(watched, { env: first.env, log: storage.open(first.env), host: "a" });
    await env.until(dying.start());
    await env.advance(200);
    first.kill();
    const second = env.process("second");
    const log = storage.open(second.env);
    const runtime = new GraphRuntime(program(OLD, second, 50, []), { env: second.env, log, host: "b" });
    await env.until(runtime.start());
    const [target] = runtime.cutTargets();
    expect(target?.pos).toBeGreaterThanOrEqual(Math.max(...seen) * 10);
    const [point] = await env.until(runtime.drainTo(runtime.cutTargets()));
    expect(point?.pos).toBe(target?.pos);
    await env.until(runtime.stop());
  });
});
