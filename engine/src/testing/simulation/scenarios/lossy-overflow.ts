import { runningSum } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import type { Scenario } from "../scenario.ts";
import { writePartitions } from "../workload.ts";

/** Mailboxes that drop when they are full: messages go, ranges stay, and what went is counted. */
export const lossyOverflow: Scenario = {
  name: "lossy-overflow",
  covers: [22],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 120, durationMs: 60_000 });
    const out = target({ name: "out", kind: "at-least-once" });
    const overflow = random.pick(["drop-oldest", "drop-newest", "conflate"] as const);
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        pureNode("pass", passRows),
        statefulNode("sums", runningSum, { capacity: 2, overflow }),
        sinkNode(host, out),
      ],
      edges: [edge("input -> pass"), edge("pass -> sums"), edge("sums -> out")],
    };
  },
};
