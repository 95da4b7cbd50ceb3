import { orderSensitiveFold } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Two sources through one pure union into a fold that depends on the order. */
export const fanIn: Scenario = {
  name: "fan-in",
  covers: [5],
  build({ random, target }) {
    const first = writePartitions(random.fork("first"), { partitions: ["p0", "p1"] });
    const second = writePartitions(random.fork("second"), { firstId: 1_000_000, sparse: true });
    const out = target({ name: "out", kind: "key" });
    return {
      sources: new Map([
        ["first", first],
        ["second", second],
      ]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "first", first),
        sourceNode(host, "second", second),
        pureNode("union", passRows, { capacity: 8 }),
        statefulNode("fold", orderSensitiveFold, { capacity: 8 }),
        sinkNode(host, out),
      ],
      edges: [edge("first -> union"), edge("second -> union"), edge("union -> fold"), edge("fold -> out")],
      expect: () => expectRows(out, [...allRows(first), ...allRows(second)], (row) => (row as { id: number }).id),
    };
  },
};
