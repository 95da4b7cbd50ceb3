import { sumWindow } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, statefulNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectLate, expectRows, lateOf, windowsOf } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { type TakenRows, takenRows } from "../taken-rows.ts";
import { allRows, writePartitions } from "../workload.ts";

const SIZE_MS = 60_000;
const BOUND_MS = 5000;

/**
 * Records behind the watermark of a source that cannot be read again: which they are is in its steps, so that receivers agree on it
 * whoever dies, however often it is sent, and however often the source fell silent.
 */
export const takenOnce: Scenario = {
  name: "taken-once",
  covers: [13],
  always: ["hostCrash", "recut", "drop", "logSlow"],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 60, late: 0.5, disorderMs: BOUND_MS });
    const rows = allRows(input);
    const late = lateOf(rows, BOUND_MS);
    const [messages = []] = input.values();
    const windows = target({ name: "windows", kind: "key" });
    const missed = target({ name: "missed", kind: "key" });
    const missedToo = target({ name: "missedToo", kind: "key" });
    const targets = [windows, missed, missedToo];
    return {
      sources: new Map(),
      targets: new Map(targets.map((t) => [t.name, t])),
      nodes: (host) => [
        {
          ...statefulNode("input", () => takenRows(messages, { field: "time", boundMs: BOUND_MS }, host.env)),
          isSource: true,
          isBounded: true,
        },
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
        edge("first.late -> missed"),
        edge("second.late -> missedToo"),
      ],
      requests: new Map([["input", (behavior, draft) => (behavior as TakenRows).step(draft)]]),
      expect: () => {
        const onTime = rows.filter(({ id }) => !late.has(id));
        expectRows(windows, windowsOf(onTime, SIZE_MS));
        for (const side of [missed, missedToo]) expectLate(side, late);
      },
    };
  },
};
