import type { Json } from "../../../frame/json.ts";
import { innerJoin, latestJoin } from "../committed-behaviors.ts";
import { edge, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

/** An inner join, whose pairs do not depend on the order, and one with the newest of the other side, whose answers do. */
export const joins: Scenario = {
  name: "joins",
  covers: [9],
  build({ random, target }) {
    const left = writePartitions(random.fork("left"), { messages: 30 });
    const right = writePartitions(random.fork("right"), { messages: 30, firstId: 1_000_000 });
    const pairs = target({ name: "pairs", kind: "key" });
    const latest = target({ name: "latest", kind: "transaction" });
    return {
      sources: new Map([
        ["left", left],
        ["right", right],
      ]),
      targets: new Map([
        ["pairs", pairs],
        ["latest", latest],
      ]),
      nodes: (host) => [
        sourceNode(host, "left", left),
        sourceNode(host, "right", right),
        statefulNode("inner", innerJoin),
        statefulNode("newest", latestJoin),
        sinkNode(host, pairs),
        sinkNode(host, latest),
      ],
      edges: [
        edge("left -> inner"),
        edge("right -> inner:1"),
        edge("left -> newest"),
        edge("right -> newest:1"),
        edge("inner -> pairs"),
        edge("newest -> latest"),
      ],
      expect: () => {
        const wanted: Json[] = [];
        for (const l of allRows(left))
          for (const r of allRows(right)) if (l.key === r.key) wanted.push(`${l.id}+${r.id}`);
        expectRows(pairs, wanted, (row) => (typeof row === "string" ? row : (row as { readonly pair: string }).pair));
        expectRows(latest, allRows(left), (row) => (row as { readonly id: number }).id);
      },
    };
  },
};
