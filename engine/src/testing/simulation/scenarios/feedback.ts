import { looping, sumWindow } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectRows, windowsOf } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

const SIZE_MS = 120_000;

/** Messages go around a loop before they reach a window: its watermark waits for them and not for itself. */
export const feedback: Scenario = {
  name: "feedback",
  covers: [11],
  build({ random, target }) {
    const input = writePartitions(random, { valueMax: 6, messages: 80, durationMs: 60_000 });
    const windows = target({ name: "windows", kind: "key" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([["windows", windows]]),
      nodes: (host) => [
        sourceNode(host, "input", input, 1000),
        statefulNode("loop", looping, { capacity: 2 }),
        pureNode("around", passRows, { capacity: 2 }),
        statefulNode("window", () => sumWindow({ sizeMs: SIZE_MS })),
        sinkNode(host, windows),
      ],
      edges: [
        edge("input -> loop"),
        edge("loop.loop -> around"),
        edge("around -> loop:1", { feedback: true }),
        edge("loop -> window"),
        edge("window -> windows"),
      ],
      expect: () => expectRows(windows, windowsOf(allRows(input), SIZE_MS)),
    };
  },
};
