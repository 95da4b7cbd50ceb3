import { runningSum, sumWindow } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectRows, windowsOf } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** Short, so that watermarks of single frames decide. */
const SIZE_MS = 2000;

/** A stateful node feeds a slow sink and a window: output is kept for the slower of the two. */
export const branch: Scenario = {
  name: "branch",
  covers: [6],
  always: ["sinkFailing"],
  // A file belongs to one host: two owners at once would each cut it back to what they know.
  never: ["staleOwner"],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 80 });
    const slow = target({ name: "slow", kind: "offset" });
    const windows = target({ name: "windows", kind: "key" });
    slow.faults.wayMs = 500;
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["slow", slow],
        ["windows", windows],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input, 1000),
        statefulNode("sums", runningSum, { capacity: 16 }),
        pureNode("pass", passRows),
        statefulNode("window", () => sumWindow({ sizeMs: SIZE_MS })),
        sinkNode(host, slow, undefined, { capacity: 16 }),
        sinkNode(host, windows),
      ],
      edges: [
        edge("input -> sums"),
        edge("sums -> slow"),
        edge("sums -> pass"),
        edge("pass -> window"),
        edge("window -> windows"),
      ],
      expect: () => {
        expectRows(slow, allRows(input), (row) => (row as { readonly id: number }).id);
        expectRows(windows, windowsOf(allRows(input), SIZE_MS));
      },
    };
  },
};
