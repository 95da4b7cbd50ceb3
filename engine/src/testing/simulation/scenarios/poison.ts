import type { CommittedBehavior } from "../../../behavior/committed-behavior.ts";
import { engineError } from "../../../errors.ts";
import { runningSum } from "../committed-behaviors.ts";
import { edge, pureNode, sinkNode, sourceNode, statefulNode } from "../graph-parts.ts";
import { flatMapRows, passRows, type Row, refusing, rowOf } from "../pure-behaviors.ts";
import { expectRows } from "../reference.ts";
import type { Scenario } from "../scenario.ts";
import { allRows, writePartitions } from "../workload.ts";

const inPure = (row: Row): boolean => row.value === 3;
const inStateful = (row: Row): boolean => row.value === 5;
const inSink = (row: Row): boolean => row.value === 7;

/** Takes messages one by one and throws in the middle of a frame: what it took before must be undone. */
function refusingSum(): CommittedBehavior {
  const sums = runningSum();
  return {
    ...sums,
    take(draft, slice) {
      sums.take(draft, slice);
      if (slice.batch.rows().some((row) => inStateful(rowOf(row))))
        throw engineError("MSG-POISON", "a row that no sum takes");
    },
  };
}

/** Messages that fail for good in a pure node before a branch, in a stateful node in mid-frame, in a sink, in the source. */
export const poison: Scenario = {
  name: "poison",
  covers: [14],
  build({ random, target }) {
    const input = writePartitions(random, { messages: 60, rejected: 0.1 });
    const plain = target({ name: "plain", kind: "key" });
    const summed = target({ name: "summed", kind: "transaction" });
    return {
      sources: new Map([["input", input]]),
      targets: new Map([
        ["plain", plain],
        ["summed", summed],
      ]),
      nodes: (host) => [
        sourceNode(host, "input", input),
        pureNode("strict", () => refusing(passRows(), inPure)),
        pureNode("twice", () => flatMapRows((row) => [row, row])),
        statefulNode("sums", refusingSum),
        sinkNode(host, plain, inSink as (row: never) => boolean),
        sinkNode(host, summed),
      ],
      edges: [
        edge("input -> strict"),
        edge("strict -> twice"),
        edge("strict -> plain"),
        edge("twice -> sums"),
        edge("sums -> summed"),
      ],
      expect: () => {
        const passed = allRows(input).filter((row) => !inPure(row));
        expectRows(
          plain,
          passed.filter((row) => !inSink(row)),
        );
        const taken = passed.filter((row) => !inStateful(row)).flatMap((row) => [row.id, row.id]);
        expectRows(summed, taken, (row) => (typeof row === "number" ? row : (row as Row).id));
      },
    };
  },
};
