import { sumWindow } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { filterRows } from "../pure-behaviors.ts";
import { expectRows, windowsOf } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

const SIZE_MS = 300_000;

/** A filter that passes next to nothing, offsets with holes, partitions without messages. */
export const sparseFilter: Scenario = {
  name: "sparse-filter",
  covers: [2, 3],
  build({ random, target }) {
    const input = writePartitions(random, {
      partitions: ["p0", "p1", "p2"],
      empty: ["p1"],
      sparse: true,
      messages: 60,
    });
    const passed = allRows(input).filter((row) => row.value === 7);
    const rows = target({ name: "rows", kind: "transaction" });
    const windows = target({ name: "windows", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["rows", rows],
        ["windows", windows],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input, 1000),
        pureNode("sevens", () => filterRows((row) => row.value === 7)),
        statefulNode("window", () => sumWindow({ sizeMs: SIZE_MS })),
        sinkNode(host, rows),
        sinkNode(host, windows),
      ],
      edges: [edge("input -> sevens"), edge("sevens -> window"), edge("sevens -> rows"), edge("window -> windows")],
      expect: () => {
        expectRows(rows, passed);
        // Partitions that were idle may bring messages behind the others' watermark: those leave as late ones.
        const counted = windows.rows.reduce((sum, { row }) => sum + (row as { readonly count: number }).count, 0);
        const most = windowsOf(passed, SIZE_MS).reduce<number>((sum, row) => sum + (row as { count: number }).count, 0);
        if (counted > most) throw new Error(`I2 windows count ${counted} messages of ${most}`);
      },
    };
  },
};
