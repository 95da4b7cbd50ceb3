import type { CommittedBehavior } from "@millrace/engine";
import { WorkerState } from "./process/worker-state.ts";

/** Folds what a calculator logged of its state, without its process: to look at a state, or to carry it. It calculates nothing. */
export function calculatorFold(): CommittedBehavior {
  const state = new WorkerState();
  return {
    kind: "committed",
    ports: ["out"],
    take() {},
    seal: () => state.seal(),
    discard: () => state.discard(),
    fold: (patch) => state.fold(patch),
    snapshot: () => state.snapshot(),
    restore: (snapshot) => state.restore(snapshot),
  };
}
