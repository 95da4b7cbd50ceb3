/** A graph that has nothing to do: chains of a source without messages, stateless nodes and a sink. */
import { discardSink, field, filter } from "@millrace/actors";

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

/**
 * Ten nodes for each chain.
 *
 * @returns {import("@millrace/engine").GraphProgram}
 */
export function idleGraph(chains) {
  const nodes = [];
  const edges = [];
  for (let chain = 0; chain < chains; chain++) {
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

/** What it may cost. */
export const IDLE_BOUNDS = { startMs: 1000, bytesPerNode: 4096, cpuPercent: 0.5 };
