import { sumWindow } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { filterRows } from "../pure-behaviors.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

const SIZE_MS = 60_000;

/**
 * Partitions that fall silent for minutes: their idleness lets watermarks go on without data, and an old mark that comes again
 * must not silence a lane that lives.
 */
export const idlePartitions: Scenario = {
  name: "idle-partitions",
  covers: [12],
  build({ random, target }) {
    const input = writePartitions(random, { partitions: ["p0", "p1", "p2"], messages: 30, durationMs: 400_000 });
    const windows = target({ name: "windows", kind: "key" });
    const late = target({ name: "late", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["windows", windows],
        ["late", late],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input, 1000),
        pureNode("some", () => filterRows((row) => row.value > 1)),
        statefulNode("window", () => sumWindow({ sizeMs: SIZE_MS })),
        sinkNode(host, windows),
        sinkNode(host, late),
      ],
      edges: [edge("input -> some"), edge("some -> window"), edge("window -> windows"), edge("window.late -> late")],
      expect: () => {
        const counted = windows.rows.reduce((sum, { row }) => sum + (row as { readonly count: number }).count, 0);
        const all = allRows(input).filter((row) => row.value > 1).length;
        if (counted + late.rows.length !== all)
          throw new Error(`I2 ${counted} in windows and ${late.rows.length} late are not ${all} messages`);
      },
    };
  },
};
