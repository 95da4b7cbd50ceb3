import { orderSensitiveFold } from "../committed-behaviors.ts";
import { edge, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { rowOf } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import type { TargetKind } from "../simulated-target.ts";
import { allRows, writePartitions } from "../workload.ts";

const KINDS: readonly TargetKind[] = ["key", "offset", "transaction", "upsert", "at-least-once"];

/** Hosts die between a delivery and its commit, for every kind of sink. */
export const sinkKinds: Scenario = {
  name: "sink-kinds",
  covers: [21],
  always: ["hostCrash", "sinkFailing"],
  // A file belongs to one host: two owners at once would each cut it back to what they know.
  never: ["staleOwner"],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 50, keys: 3 });
    const targets = KINDS.map((kind) => target({ name: `to-${kind}`, kind, keyOf: (row) => rowOf(row).key }));
    return {
      sources: new Map([["input", input]]),
      targets: new Map(targets.map((t) => [t.name, t])),
      nodes: (host) => [
        sourceNode(host, "input", input),
        statefulNode("fold", orderSensitiveFold),
        ...targets.map((t) => sinkNode(host, t)),
      ],
      edges: [edge("input -> fold"), ...targets.map((t) => edge(`fold -> ${t.name}`))],
      expect: () => {
        for (const t of targets) {
          const isWhole = t.kind !== "upsert" && t.kind !== "at-least-once";
          if (isWhole) expectRows(t, allRows(input), (row) => (row as { readonly id: number }).id);
        }
      },
    };
  },
};
