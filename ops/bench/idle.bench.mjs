/**
 * What a graph costs that has nothing to do: 10 000 nodes (a thousand chains of source, eight stateless nodes and a sink) on the
 * embedded log. Reports the time to start them, heap per node, and CPU while idle.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { discardSink, field, filter } from "@millrace/actors";
import { GraphRuntime, systemEnv } from "@millrace/engine";
import { openEmbeddedLog, systemDisk } from "@millrace/streams/embedded";
import { memoryOrderedStore } from "@millrace/streams/memory";

const CHAINS = 1000;
const STATELESS = 8;

/** A source that never has anything. */
const silent = () => ({
  capabilities: { replay: true, ordered: true, bounded: false },
  partitions: async () => ["0"],
  open: async () => {
    let end = () => undefined;
    return {
      read: () =>
        new Promise((resolve) => {
          end = () => resolve("idle");
        }),
      close: async () => end(),
    };
  },
});

function program() {
  const nodes = [];
  const edges = [];
  for (let chain = 0; chain < CHAINS; chain++) {
    let previous = `source-${chain}`;
    nodes.push({ name: previous, kind: "source", role: "source", connector: silent() });
    for (let i = 0; i < STATELESS; i++) {
      const name = `filter-${chain}-${i}`;
      nodes.push({ name, kind: "filter", role: "pure", make: () => filter({ where: field("on") }) });
      edges.push({ from: previous, to: name });
      previous = name;
    }
    nodes.push({ name: `sink-${chain}`, kind: "sink", role: "committed", isSink: true, make: () => discardSink() });
    edges.push({ from: previous, to: `sink-${chain}` });
  }
  return { graph: "idle", revision: 1, codeVersion: "bench", durability: "durable", nodes, edges };
}

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
  const graph = program();
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
  return { nodes: graph.nodes.length, startMs, bytesPerNode, idleCpuShare };
}
