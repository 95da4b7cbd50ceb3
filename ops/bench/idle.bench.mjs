/**
 * What a graph costs that has nothing to do: 10 000 nodes (a thousand chains of source, eight stateless nodes and a sink) on the
 * embedded log. Reports the time to start them, heap per node, and CPU while idle, each with its bound; ends with 1
 * when one of them is over.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GraphRuntime, systemEnv } from "@millrace/engine";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";
import { judge } from "./bounds.mjs";
import { IDLE_BOUNDS, idleGraph } from "./idle-graph.mjs";

const CHAINS = 1000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {{ seconds?: number }} options */
export async function main({ seconds = 10 } = {}) {
  const directory = mkdtempSync(join(process.env.MILLRACE_BENCH_DIR ?? tmpdir(), "millrace-idle-"));
  const env = systemEnv();
  const log = await openEmbeddedLog({
    directory: join(directory, "log"),
    disk: systemDisk(),
    env,
    indexStore: memoryOrderedStore(),
  });
  const graph = idleGraph(CHAINS);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const started = performance.now();
  const runtime = new GraphRuntime(graph, { env, log, host: "bench" });
  await runtime.start();
  const startMs = Math.round(performance.now() - started);
  await pause(3000);
  globalThis.gc?.();
  const bytesPerNode = Math.round((process.memoryUsage().heapUsed - before) / graph.nodes.length);
  const used = process.cpuUsage();
  await pause(seconds * 1000);
  const { user, system } = process.cpuUsage(used);
  await runtime.stop();
  await log.close();
  rmSync(directory, { recursive: true, force: true });
  const idleCpuShare = Number(((user + system) / 1e6 / seconds).toFixed(5));
  process.stdout.write(
    `  ${graph.nodes.length} nodes: started in ${startMs} ms, ${bytesPerNode} B of heap each, ${(idleCpuShare * 100).toFixed(2)} % of a core while idle\n`,
  );
  judge([
    { what: "start", is: startMs, most: IDLE_BOUNDS.startMs, unit: "ms" },
    { what: "heap of a node", is: bytesPerNode, most: IDLE_BOUNDS.bytesPerNode, unit: "B" },
    { what: "a core while idle", is: Number((idleCpuShare * 100).toFixed(3)), most: IDLE_BOUNDS.cpuPercent, unit: "%" },
  ]);
  return { nodes: graph.nodes.length, startMs, bytesPerNode, idleCpuShare };
}
