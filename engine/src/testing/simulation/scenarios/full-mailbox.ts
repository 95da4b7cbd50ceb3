import { orderSensitiveFold } from "../committed-behaviors.ts";
import { alignedNode, edge, pureNode, sinkNode, sourceNode } from "../graph-parts.ts";
import { passRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import type { SourcePartitions } from "../simulated-source.ts";
import { allRows, writePartitions } from "../workload.ts";

const DURATION_MS = 60_000;
/** Of the ten minutes of event time that the input covers. */
const MAX_DRIFT_MS = 40_000;

/**
 * Many lanes share mailboxes that hold next to nothing, and lose frames while they are full. Some origins have their whole past
 * ready from the start, others bring theirs as it happens: those ahead in event time wait, and are full meanwhile.
 */
export const fullMailbox: Scenario = {
  name: "full-mailbox",
  covers: [18],
  always: ["drop", "delay"],
  build({ random, target }) {
    const options = { messages: 40, durationMs: DURATION_MS };
    const live = writePartitions(random, { ...options, partitions: ["p0", "p1"] });
    const past = ready(writePartitions(random, { ...options, partitions: ["p2", "p3"], firstId: 1_000_000 }));
    const out = target({ name: "out", kind: "transaction" });
    return {
      sources: new Map([
        ["live", live],
        ["past", past],
      ]),
      targets: new Map([["out", out]]),
      nodes: (host) => [
        sourceNode(host, "live", live, 1000),
        sourceNode(host, "past", past, 1000),
        pureNode("union", passRows, { capacity: 2 }),
        alignedNode("fold", orderSensitiveFold, MAX_DRIFT_MS, { capacity: 2 }),
        sinkNode(host, out, undefined, { capacity: 2 }),
      ],
      edges: [edge("live -> union"), edge("past -> union"), edge("union -> fold"), edge("fold -> out")],
      expect: () => expectRows(out, [...allRows(live), ...allRows(past)], (row) => (row as { readonly id: number }).id),
    };
  },
};

function ready(partitions: SourcePartitions): SourcePartitions {
  return new Map([...partitions].map(([name, messages]) => [name, messages.map((m) => ({ ...m, availableMs: 0 }))]));
}
