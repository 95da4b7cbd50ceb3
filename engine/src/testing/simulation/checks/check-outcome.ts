import type { GraphProgram } from "../../../runtime/program.ts";
import type { Workload } from "../scenario.ts";
import type { SimulatedHost } from "../simulated-host.ts";
import type { SimulatedLog } from "../simulated-log.ts";

/** What is left when a simulation has come to its end. */
export interface SimulationOutcome {
  readonly log: SimulatedLog;
  readonly host: SimulatedHost;
  /** A fresh replica of the graph. */
  readonly program: GraphProgram;
  readonly workload: Workload;
}

/** Throws with the invariant that does not hold. */
export async function checkOutcome(outcome: SimulationOutcome): Promise<void> {
  outcome.workload.expect?.();
}
