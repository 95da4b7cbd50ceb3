/** A graph that runs in the test's process, for tests that take its databases away from it. */
import { type GraphStatus, parseGraph, SnapshotStore, systemEnv } from "@millrace/engine";
import { memoryEventLog, memoryOrderedStore } from "@millrace/streams/memory";
import { compileGraph } from "../../src/compile/compile-graph.ts";
import { Host } from "../../src/host/host.ts";
import { ProjectionTables } from "../../src/host/projection-tables.ts";

export const POLICY = { backoffMs: 10, backoffMaxMs: 100, suspendMs: 200, probeEveryMs: 500, probeTimeoutMs: 1000 };
export const WAIT = { timeout: 30_000, interval: 10 };

export interface RunningGraph {
  status(): GraphStatus;
  close(): Promise<void>;
}

/** @param nodes the lines of the graph's nodes */
export async function runGraph(name: string, nodes: readonly string[]): Promise<RunningGraph> {
  const env = systemEnv();
  const log = memoryEventLog({ env });
  const host = new Host({
    log,
    env,
    host: "test",
    snapshots: new SnapshotStore(memoryOrderedStore(), log.id, () => log.durableEnd),
    untilDone: false,
    report: (thrown) => {
      throw thrown;
    },
    deadLetters: async (ids) => ids.map(() => undefined),
  });
  const text = `name: ${name}\nnodes:\n${nodes.map((line) => `  ${line}\n`).join("")}`;
  const parsed = parseGraph(text);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const options = { dir: ".", out: ".", env, tables: new ProjectionTables(), resilience: POLICY };
  await host.add(await compileGraph(parsed.graph, text, options), { principal: "test", reason: "faults" });
  return {
    status: () => host.status(name) as GraphStatus,
    close: () => host.close("the test is over"),
  };
}
