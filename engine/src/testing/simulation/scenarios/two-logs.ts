import { runningSum, undetermined } from "../committed-behaviors.ts";
import { edge, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/**
 * A relaxed graph on two hosts with a log each. What the first host computes cannot be computed again, so what it loses with its tail
 * comes out otherwise under the same numbers: the second host, which loses nothing with it, must not have seen it.
 */
export const twoLogs: Scenario = {
  name: "two-logs",
  covers: [19],
  always: ["hostCrash", "logSlow", "localEdges"],
  // The logs are on the hosts' own disks.
  never: ["remoteLog"],
  build({ random, target }) {
    const input = writePartitions(random, { durationMs: 60_000 });
    const out = target({ name: "out", kind: "offset" });
    return {
      durability: "relaxed",
      elsewhere: ["sums", "out"],
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("draws", () => undetermined(host.env)),
        statefulNode("sums", runningSum),
        sinkNode(host, out),
      ],
      edges: [edge("input -> draws"), { ...edge("draws -> sums"), via: "nats" }, edge("sums -> out")],
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
