import { orderSensitiveFold } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Many lanes share mailboxes that hold next to nothing, and lose frames while they are full. */
export const fullMailbox: Scenario = {
  name: "full-mailbox",
  covers: [18],
  always: ["drop", "delay"],
  build({ random, target }) {
    const partitions = ["p0", "p1", "p2", "p3"];
    const input = writePartitions(random, { messages: 40, partitions, durationMs: 60_000 });
    const out = target({ name: "out", kind: "transaction" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        pureNode("union", passRows, { capacity: 2 }),
        statefulNode("fold", orderSensitiveFold, { capacity: 2 }),
        sinkNode(host, out, undefined, { capacity: 2 }),
      ],
      edges: [edge("input -> union"), edge("union -> fold"), edge("fold -> out")],
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
