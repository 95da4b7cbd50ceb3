import { fair, lifo, priority } from "../../../mailbox/discipline.ts";
import { orderSensitiveFold } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Lanes are served newest first, by rank or in turns; within each the order stays. */
export const disciplines: Scenario = {
  name: "disciplines",
  covers: [23],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 40, partitions: ["p0", "p1", "p2"], durationMs: 60_000 });
    const out = target({ name: "out", kind: "transaction" });
    const discipline = random.pick([(): typeof lifo => lifo, () => priority((path) => path % 3), fair]);
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        pureNode("pass", passRows, { capacity: 8, discipline: discipline() }),
        statefulNode("fold", orderSensitiveFold, { capacity: 8, discipline: discipline() }),
        sinkNode(host, out),
      ],
      edges: [edge("input -> pass"), edge("pass -> fold"), edge("fold -> out")],
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
