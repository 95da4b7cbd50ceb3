import { runningSum } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { mapRows, passRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Resources of pure and stateful nodes that are not there for a while: nothing is given up. */
export const transientFailures: Scenario = {
  name: "transient-failures",
  covers: [15],
  always: ["transient"],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 80 });
    const out = target({ name: "out", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        pureNode("first", () => mapRows((row) => ({ ...row, value: row.value + 1 }))),
        pureNode("second", passRows),
        statefulNode("sums", runningSum),
        sinkNode(host, out),
      ],
      edges: [edge("input -> first"), edge("first -> second"), edge("second -> sums"), edge("sums -> out")],
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
