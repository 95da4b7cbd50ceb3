import { runningSum, undetermined } from "../committed-behaviors.ts";
import { edge, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** A node that draws, asks two remote services at once and reads the tick; its results are logged and never asked for again. */
export const undeterminedNode: Scenario = {
  name: "undetermined-node",
  covers: [8],
  build({ random, target }) {
    const input = writePartitions(random);
    const out = target({ name: "out", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("draws", () => undetermined(host.env)),
        statefulNode("sums", runningSum),
        sinkNode(host, out),
      ],
      edges: [edge("input -> draws"), edge("draws -> sums"), edge("sums -> out")],
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
