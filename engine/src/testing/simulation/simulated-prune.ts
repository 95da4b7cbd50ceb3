/** A prune of a simulated graph's log, as a keeper does it while hosts run, crash and recover: what it carries is all that is left. */
import type { CommittedBehavior } from "../../behavior/committed-behavior.ts";
import type { EventLog } from "../../log/event-log.ts";
import { carryNode, type NodeCarry } from "../../retention/carry-stream.ts";
import { neededOutput } from "../../retention/needed-output.ts";
import type { PlanNode } from "../../runtime/plan.ts";
import type { GraphProgram } from "../../runtime/program.ts";
import type { StepChain } from "../../step/step-chain.ts";
import type { SimulatedLog } from "./simulated-log.ts";

/** What a faulty keeper would forget. */
export type PruneFault = "output" | "state";

export interface SimulatedPruneOptions {
  readonly storage: SimulatedLog;
  readonly client: EventLog;
  /** The graph as it was at a position, and as it would start now. */
  readonly programAt: (end: number) => GraphProgram;
  readonly programNow: GraphProgram;
  /** What is below should go; less goes if somebody needs it. */
  readonly end: number;
  readonly fault: PruneFault | undefined;
}

/** Resolves with the new base. */
export async function simulatedPrune(options: SimulatedPruneOptions): Promise<number> {
  const { storage, fault } = options;
  let { end } = options;
  while (end > storage.base) {
    const carries = await carriesOf(options, end);
    const needed = fault === "output" ? [] : await neededBy(options, carries, end);
    if (needed.length === 0) {
      storage.prune(end, fault === "state" ? carries.map((carry) => ({ ...carry, state: undefined })) : carries);
      return end;
    }
    end = Math.min(...needed.map(({ position }) => position ?? 0));
  }
  return storage.base;
}

async function carriesOf({ storage, client, programAt }: SimulatedPruneOptions, end: number): Promise<NodeCarry[]> {
  const program = programAt(end);
  const prefix = `${program.graph}/`;
  const streams = new Set(storage.events.slice(0, end).map(({ stream }) => stream));
  const carries: NodeCarry[] = [];
  for (const stream of streams) {
    if (!stream.startsWith(prefix)) continue;
    const node = program.nodes.find(({ name }) => name === stream.slice(prefix.length));
    const isCommitted = node?.role === "committed";
    const carry = await carryNode({
      log: client,
      stream,
      behavior: isCommitted ? node.make() : foldsNothing(),
      stateSince: isCommitted ? (node.stateSince ?? 0) : Number.POSITIVE_INFINITY,
      graphRevision: program.revision,
      end,
    });
    if (carry !== undefined) carries.push(carry);
  }
  return carries;
}

function neededBy(
  { client, programNow: program }: SimulatedPruneOptions,
  carries: readonly NodeCarry[],
  end: number,
): ReturnType<typeof neededOutput> {
  const { graph, revision, begins = [] } = program;
  const nodes = program.nodes.map((node): PlanNode => {
    return { name: node.name, role: node.role, ports: node.role === "source" ? [] : node.make().ports, partitions: [] };
  });
  const edges = program.edges.map(({ from, to, port = "out", input = 0, feedback = false }) => {
    return { from, to, port, input, feedback };
  });
  const chains = new Map<string, StepChain>();
  for (const { stream, chain } of carries) chains.set(stream.slice(graph.length + 1), chain);
  return neededOutput({ log: client, graph, revision, nodes, edges, begins, chains, end });
}

function foldsNothing(): CommittedBehavior {
  return { kind: "committed", ports: [], take() {}, seal() {}, discard() {}, fold() {} };
}
