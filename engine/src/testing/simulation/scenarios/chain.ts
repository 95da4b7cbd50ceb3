import { runningSum } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { filterRows, mapRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Source, filter, map, running sum, sink by key: the smallest graph with everything in it. */
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
        sourceNode(host, "input", input),
        pureNode("even", () => filterRows((row) => row.value % 2 === 0)),
        pureNode("double", () => mapRows((row) => ({ ...row, value: row.value * 2 }))),
        statefulNode("sums", runningSum, { capacity: 16 }),
        sinkNode(host, board),
      ],
      edges: [edge("input -> even"), edge("even -> double"), edge("double -> sums"), edge("sums -> board")],
      expect: () => {
        const ids = allRows(input).filter((row) => row.value % 2 === 0);
        expectRows(board, ids, (row) => (row as { readonly id: number }).id);
      },
    };
  },
};
