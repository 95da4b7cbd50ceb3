import { sumWindow } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectLate, expectRows, lateOf, windowsOf } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

const SIZE_MS = 60_000;
const BOUND_MS = 5000;

/** Records behind the watermark: two receivers agree on which they are, however frames are cut and generators restarted. */
export const lateRecords: Scenario = {
  name: "late-records",
  covers: [13],
  always: ["recut"],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 60, late: 0.2, disorderMs: BOUND_MS, sparse: true });
    const names = ["windows", "lateOnce", "windowsToo", "lateTwice"] as const;
    const [windows, lateOnce, windowsToo, lateTwice] = names.map((name) => target({ name, kind: "key" }));
    const targets = [windows, lateOnce, windowsToo, lateTwice].filter((t) => t !== undefined);
    const late = lateOf(allRows(input), BOUND_MS);
    const onTime = allRows(input).filter((row) => !late.has(row.id));
    return {
      sources: new Map([["input", input]]),
      targets: new Map(targets.map((t) => [t.name, t])),
      nodes: (host) => [
        sourceNode(host, "input", input, BOUND_MS),
        pureNode("pass", passRows),
        statefulNode("first", () => sumWindow({ sizeMs: SIZE_MS })),
        statefulNode("second", () => sumWindow({ sizeMs: SIZE_MS * 3 })),
        ...targets.map((t) => sinkNode(host, t)),
      ],
      edges: [
        edge("input -> first"),
        edge("input -> pass"),
        edge("pass -> second"),
        edge("first -> windows"),
        edge("first.late -> lateOnce"),
        edge("second -> windowsToo"),
        edge("second.late -> lateTwice"),
      ],
      expect: () => {
        const [first, firstLate, second, secondLate] = targets;
        if (first === undefined || firstLate === undefined || second === undefined || secondLate === undefined) return;
        expectRows(first, windowsOf(onTime, SIZE_MS));
        expectRows(second, windowsOf(onTime, SIZE_MS * 3));
        for (const side of [firstLate, secondLate]) expectLate(side, late);
      },
    };
  },
};
