import { undetermined } from "../committed-behaviors.ts";
import { edge, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { rowOf } from "../pure-behaviors.ts";
import type { Scenario } from "../scenario.ts";
import { writePartitions } from "../workload.ts";

/** Appends whose outcome nobody tells, owners that do not know that they are replaced, late deliveries to an upsert target. */
export const unknownAppends: Scenario = {
  name: "unknown-appends",
  covers: [20],
  always: ["logLost", "staleOwner", "sinkFailing"],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 80, keys: 3 });
    const board = target({ name: "board", kind: "upsert", keyOf: (row) => rowOf(row).key });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["board", board]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("draws", () => undetermined(host.env)),
        sinkNode(host, board),
      ],
      edges: [edge("input -> draws"), edge("draws -> board")],
    };
  },
};
