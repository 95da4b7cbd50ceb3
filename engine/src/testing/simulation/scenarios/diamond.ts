import { orderSensitiveFold } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { filterRows, mapRows, passRows } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** One origin reaches a receiver along two pure paths, with a last edge of their own and with a shared one. */
export const diamond: Scenario = {
  name: "diamond",
  covers: [4],
  build({ random, target }) {
    const input = writePartitions(random);
    const shared = target({ name: "shared", kind: "key" });
    const own = target({ name: "own", kind: "transaction" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["shared", shared],
        ["own", own],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        pureNode("left", () => filterRows((row) => row.value > 2)),
        pureNode("right", () => mapRows((row) => ({ ...row, value: -row.value }))),
        pureNode("union", passRows),
        statefulNode("fold", orderSensitiveFold),
        sinkNode(host, shared),
        sinkNode(host, own),
      ],
      edges: [
        edge("input -> left"),
        edge("input -> right"),
        edge("left -> union"),
        edge("right -> union"),
        edge("union -> shared"),
        edge("left -> fold"),
        edge("right -> fold:1"),
        edge("fold -> own"),
      ],
      expect: () => {
        const rows = allRows(input);
        const both = [...rows.filter((row) => row.value > 2), ...rows.map((row) => ({ ...row, value: -row.value }))];
        expectRows(shared, both);
        expectRows(own, both, (row) => {
          const { id, value } = row as { readonly id: number; readonly value: number };
          return [id, value];
        });
      },
    };
  },
};
