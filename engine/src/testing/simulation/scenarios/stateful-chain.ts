import type { Json } from "../../../frame/json.ts";
import { orderSensitiveFold, runningSum } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { flatMapRows, switchRows } from "../pure-behaviors.ts";
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
    const even = target({ name: "even", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["out", out],
        ["even", even],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("fold", orderSensitiveFold, { capacity: 8 }),
        pureNode("twice", () => flatMapRows((row) => [row, { ...row, value: row.value + 1 }])),
        pureNode("parity", () => switchRows((row) => row.value % 2 === 1)),
        statefulNode("sums", runningSum, { capacity: 8 }),
        sinkNode(host, out),
        sinkNode(host, even),
      ],
      edges: [
        edge("input -> fold"),
        edge("fold -> twice"),
        edge("twice -> parity"),
        edge("parity -> sums"),
        edge("parity.other -> even"),
        edge("sums -> out"),
      ],
      expect: () => {
        const idOf = (row: Json): Json => (row as { readonly id: number }).id;
        expectRows(out, allRows(input), idOf);
        expectRows(even, allRows(input), idOf);
      },
    };
  },
};
