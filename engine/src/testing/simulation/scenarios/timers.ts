import { delayed } from "../committed-behaviors.ts";
import { edge, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Messages wait in state for a timer; steps without inputs fire it, whatever the clock does meanwhile. */
export const timers: Scenario = {
  name: "timers",
  covers: [10],
  always: ["clockJump"],
  build({ random, target }) {
    const input = writePartitions(random);
    const out = target({ name: "out", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("delay", () => delayed(host.env, 5000)),
        sinkNode(host, out),
      ],
      edges: [edge("input -> delay"), edge("delay -> out")],
      requests: new Map([["delay", (behavior, draft) => (behavior as ReturnType<typeof delayed>).fire(draft)]]),
      expect: () => expectRows(out, allRows(input), (row) => (row as { readonly id: number }).id),
    };
  },
};
