import type { Json } from "../../../frame/json.ts";
import type { ProgramNode } from "../../../runtime/program.ts";
import { orderSensitiveFold } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { flatMapRows, type Row } from "../pure-behaviors.ts";
import type { HostView, Scenario } from "../scenario.ts";
import { writePartitions } from "../workload.ts";

const copies =
  (count: number, revision: number) =>
  (row: Row): Json[] =>
    Array.from({ length: count }, (_, copy) => ({ ...row, copy, revision }));

/** A revision changes what a position expands to and what its route is called, between crashes and recoveries. */
export const revisionChange: Scenario = {
  name: "revision-change",
  covers: [16],
  always: ["recut"],
  // An owner that does not know that it is replaced settles the send horizon of its successor.
  never: ["staleOwner"],
  build({ random, target }) {
    const input = writePartitions(random, { partitions: ["p0", "p1"], sparse: true });
    const rows = target({ name: "rows", kind: "key" });
    const folded = target({ name: "folded", kind: "transaction" });
    const around = (host: HostView, expansion: ProgramNode): readonly ProgramNode[] => [
      sourceNode(host, "input", input),
      expansion,
      statefulNode("fold", orderSensitiveFold),
      sinkNode(host, rows),
      sinkNode(host, folded),
    ];
    const edges = (expansion: string) => [
      edge(`input -> ${expansion}`),
      edge(`${expansion} -> fold`),
      edge(`${expansion} -> rows`),
      edge("fold -> folded"),
    ];
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["rows", rows],
        ["folded", folded],
      ]),
      nodes: (host) =>
        around(
          host,
          pureNode("twice", () => flatMapRows(copies(2, 1))),
        ),
      edges: edges("twice"),
      next: {
        atMs: 60_000 + random.below(120_000),
        nodes: (host) =>
          around(
            host,
            pureNode("thrice", () => flatMapRows(copies(3, 2))),
          ),
        edges: edges("thrice"),
      },
    };
  },
};
