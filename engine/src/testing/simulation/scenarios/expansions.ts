import type { Json } from "../../../frame/json.ts";
import { sumWindow } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { flatMapRows, type Row } from "../pure-behaviors.ts";
import { expectRows, windowsOf } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

const SIZE_MS = 120_000;

const copies = (row: Row): Json[] => Array.from({ length: row.value }, (_, i) => ({ ...row, value: i + 1 }));
const halves = (row: Row): Json[] => Array.from({ length: row.value % 3 }, () => ({ ...row, value: row.value * 10 }));

/** Two flatMaps in a row into a window and a keyed sink; frames are cut inside expansions. */
export const expansions: Scenario = {
  name: "expansions",
  covers: [1],
  always: ["recut"],
  build({ random, target }) {
    const input = writePartitions(random, { valueMax: 4 });
    const rows = target({ name: "rows", kind: "key" });
    const windows = target({ name: "windows", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["rows", rows],
        ["windows", windows],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input, 1000),
        pureNode("copies", () => flatMapRows(copies)),
        pureNode("halves", () => flatMapRows(halves), { capacity: 8 }),
        statefulNode("window", () => sumWindow({ sizeMs: SIZE_MS })),
        sinkNode(host, rows),
        sinkNode(host, windows),
      ],
      edges: [
        edge("input -> copies"),
        edge("copies -> halves"),
        edge("halves -> window"),
        edge("halves -> rows"),
        edge("window -> windows"),
      ],
      expect: () => {
        const expanded = allRows(input).flatMap((row) => (copies(row) as Row[]).flatMap(halves)) as Row[];
        expectRows(rows, expanded);
        expectRows(windows, windowsOf(expanded, SIZE_MS));
      },
    };
  },
};
