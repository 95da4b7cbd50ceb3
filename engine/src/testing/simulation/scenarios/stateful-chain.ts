import { orderSensitiveFold, runningSum } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { filterRows, flatMapRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Stateful, pure chain, stateful, sink: outboxes between recovered nodes. */
export const statefulChain: Scenario = {
  name: "stateful-chain",
  covers: [7],
  build({ random, target }) {
    const input = writePartitions(random, { partitions: ["p0", "p1"], sparse: true });
    const out = target({ name: "out", kind: "transaction" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("fold", orderSensitiveFold, { capacity: 8 }),
        pureNode("twice", () => flatMapRows((row) => [row, { ...row, value: row.value + 1 }])),
        pureNode("odd", () => filterRows((row) => row.value % 2 === 1)),
        statefulNode("sums", runningSum, { capacity: 8 }),
        sinkNode(host, out),
      ],
      edges: [
        edge("input -> fold"),
        edge("fold -> twice"),
        edge("twice -> odd"),
        edge("odd -> sums"),
        edge("sums -> out"),
      ],
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
