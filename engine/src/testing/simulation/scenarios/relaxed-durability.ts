import { runningSum, undetermined } from "../committed-behaviors.ts";
import { edge, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/**
 * Outputs leave before their step is durable, to receivers whose steps stand behind it in the same log; and not to targets outside,
 * which would keep what a crash takes back.
 */
export const relaxedDurability: Scenario = {
  name: "relaxed-durability",
  covers: [19],
  always: ["hostCrash", "logSlow"],
  // With answers lost, a receiver's step could come to stand before its sender's.
  never: ["remoteLog"],
  build({ random, target }) {
    const input = writePartitions(random);
    const out = target({ name: "out", kind: "offset" });
    const drawn = target({ name: "drawn", kind: "key" });
    return {
      durability: "relaxed",
      sources: new Map([["input", input]]),
      targets: new Map([
        ["out", out],
        ["drawn", drawn],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("draws", () => undetermined(host.env)),
        statefulNode("sums", runningSum),
        sinkNode(host, out),
        sinkNode(host, drawn),
      ],
      edges: [edge("input -> draws"), edge("draws -> sums"), edge("sums -> out"), edge("draws -> drawn")],
      expect: () => {
        for (const one of [out, drawn]) expectRows(one, allRows(input), (row) => (row as { readonly id: number }).id);
      },
    };
  },
};
