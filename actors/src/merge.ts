/** Joins several inputs into one output, each lane for itself: order within a lane is kept, between lanes there is none. */
import { type PureBehavior, pureResult } from "@millrace/engine";

export function merge(): PureBehavior {
  return { kind: "pure", ports: ["out"], transform: (batch) => pureResult(batch), row: (row) => row };
}
