import { runningSum } from "../committed-behaviors.ts";
import { filterRows } from "../pure-behaviors.ts";
import type { Scenario } from "../scenario.ts";
import { writePartitions } from "../workload.ts";

/** Source, filter, running sum, sink by key: the smallest graph with everything in it. */
export const chain: Scenario = {
  name: "chain",
  covers: [1],
  build({ random, target }) {
    const input = writePartitions(random, { partitions: ["p0", "p1"] });
    const board = target({ name: "board", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["board", board]]),
      nodes: (host) => [
        { name: "input", kind: "source", role: "source", connector: host.source(input) },
        { name: "even", kind: "filter", role: "pure", make: () => filterRows((row) => row.value % 2 === 0) },
        { name: "sums", kind: "sum", role: "committed", make: runningSum },
        { name: "board", kind: "sink", role: "committed", isSink: true, make: () => host.sink(board) },
      ],
      edges: [
        { from: "input", to: "even" },
        { from: "even", to: "sums" },
        { from: "sums", to: "board" },
      ],
    };
  },
};
