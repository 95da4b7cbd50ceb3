import type { GraphProgram } from "../../../runtime/program.ts";
import { streamOf } from "../../../runtime/stream-of.ts";
import type { Workload } from "../scenario.ts";
import type { SimulatedHost } from "../simulated-host.ts";
import type { SimulatedLog } from "../simulated-log.ts";
import { checkAlignment } from "./check-alignment.ts";
import { checkLog } from "./check-log.ts";
import { checkFold, checkReexecution, type ReplayedNode } from "./check-replay.ts";
import { checkSteps } from "./check-steps.ts";
import { checkTarget } from "./check-targets.ts";
import { LaneModel } from "./lane-model.ts";
import { historyOf, type NodeHistory } from "./node-history.ts";

/** A host, and the log that it wrote. */
export interface SimulatedPlace {
  readonly log: SimulatedLog;
  readonly host: SimulatedHost;
  readonly runs: (node: string) => boolean;
}

/** What is left when a simulation has come to its end. */
export interface SimulationOutcome {
  readonly places: readonly SimulatedPlace[];
  /** Fresh replicas of the graph, one for each revision that ran. */
  readonly programs: readonly GraphProgram[];
  readonly workload: Workload;
}

/** Throws a `Violation` with the first invariant that does not hold. */
export async function checkOutcome({ places, programs, workload }: SimulationOutcome): Promise<void> {
  for (const { log } of places) checkLog(log);
  const placeOf = (node: string): SimulatedPlace => places.find(({ runs }) => runs(node)) as SimulatedPlace;
  const program = programs.at(-1) as GraphProgram;
  const histories = new Map<string, NodeHistory>();
  for (const { name, role } of program.nodes)
    if (role === "committed")
      histories.set(name, historyOf(name, eventsOf(placeOf(name).log, streamOf(program.graph, name))));
  const model = new LaneModel(programs, workload.sources, histories);
  for (const history of histories.values()) checkSteps(history, model.into(history.node));
  for (const node of program.nodes) {
    if (node.role !== "committed") continue;
    const replayed: ReplayedNode = {
      history: histories.get(node.name) as NodeHistory,
      lanes: model.into(node.name),
      make: node.make,
      connectedPorts: new Set(program.edges.filter((e) => e.from === node.name).map((e) => e.port ?? "out")),
      request: workload.requests?.get(node.name),
    };
    if (node.alignment !== undefined) checkAlignment(replayed.history, replayed.lanes, node.alignment.maxDriftMs);
    const live = placeOf(node.name).host.runtime.behavior(node.name);
    checkFold(replayed, live);
    await checkReexecution(replayed, live);
    const target = workload.targets.get(node.name);
    if (target !== undefined) checkTarget(target, replayed.history, replayed.lanes);
  }
  workload.expect?.();
}

function eventsOf(log: SimulatedLog, stream: string): SimulatedLog["events"][number][] {
  return log.positionsOf(stream).map((position) => log.event(position));
}
