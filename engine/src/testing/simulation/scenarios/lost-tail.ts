import { runningSum } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Last frames get lost on brokers that remember what they took, and acknowledgements with them. */
export const lostTail: Scenario = {
  name: "lost-tail",
  covers: [17],
  always: ["drop", "duplicateWindow", "control"],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 25, partitions: ["p0", "p1"] });
    const out = target({ name: "out", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        pureNode("before", passRows),
        statefulNode("sums", runningSum),
        pureNode("after", passRows),
        sinkNode(host, out),
      ],
      edges: [edge("input -> before"), edge("before -> sums"), edge("sums -> after"), edge("after -> out")],
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
