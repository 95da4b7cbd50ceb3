import type { CommittedBehavior, Draft, InputSlice } from "../../../behavior/committed-behavior.ts";
import { RowBatch } from "../../../frame/batch.ts";
import { formatPoint } from "../../../frame/point.ts";
import { Positions } from "../../../frame/positions.ts";
import { packState } from "../../../log/packed-payload.ts";
import { Reexecution } from "../../../step/reexecution.ts";
import type { StepInput, StepRecord } from "../../../step/step-record.ts";
import { hex } from "../simulated-log.ts";
import { itemsWithin, type LaneItem, type ModelLane } from "./lane-model.ts";
import type { NodeHistory } from "./node-history.ts";
import { holds } from "./violation.ts";

export interface ReplayedNode {
  readonly history: NodeHistory;
  readonly lanes: readonly ModelLane[];
  readonly make: () => CommittedBehavior;
  /** Ports from which some lane starts. */
  readonly connectedPorts: ReadonlySet<string>;
  readonly request: ((behavior: CommittedBehavior, draft: Draft) => void) | undefined;
}

/** I2: a fresh replica that folds the stream has the state that the live node has, byte for byte. */
export function checkFold({ history, make }: ReplayedNode, live: CommittedBehavior | undefined): void {
  if (live?.snapshot === undefined) return;
  const replica = make();
  for (const { step } of history.steps) {
    for (const change of step.state) replica.fold(change);
    replica.foldWatermark?.(step.watermark);
  }
  replica.seal();
  const [folded, held] = [stateOf(replica), stateOf(live)];
  holds(folded === held, "I2", () => `${history.node}: folding its stream gives another state than it has`);
}

function stateOf(behavior: CommittedBehavior): string {
  return hex(packState(behavior.snapshot?.() ?? null));
}

/** I5: executing each step's slices again gives what the step says; and the state that results is the folded one. */
export async function checkReexecution(node: ReplayedNode, live: CommittedBehavior | undefined): Promise<void> {
  const behavior = node.make();
  if (behavior.guarantee !== undefined) return;
  const { history, lanes, connectedPorts, request } = node;
  const reexecution = new Reexecution({ node: history.node, behavior, lanes, connectedPorts });
  const names: string[] = [];
  for (const { step, revision, graphRevision } of history.steps) {
    for (const { lane, name } of step.opened) names[lane] = name;
    if (step.inputs.some((input) => input.shed > 0)) return;
    const slices = step.inputs.map((input) => sliceOf(history.node, laneOf(lanes, names, input), input, step));
    const isRequest = request !== undefined && slices.every((s) => s === undefined) && step.state.length > 0;
    const run = isRequest ? (draft: Draft): void => request(behavior, draft) : undefined;
    const difference = await reexecution.execute(step, { slices, request: run, graphRevision });
    holds(difference === undefined, "I5", () => `${history.node} step ${revision} executed again: ${difference}`);
  }
  if (live?.snapshot === undefined) return;
  holds(
    stateOf(behavior) === stateOf(live),
    "I5",
    () => `${history.node}: executing its stream again gives another state`,
  );
}

function laneOf(lanes: readonly ModelLane[], names: readonly string[], input: StepInput): ModelLane {
  const lane = lanes.find((l) => l.name === names[input.lane]);
  holds(lane !== undefined, "I8", () => `lane ${input.lane} is not in the plan`);
  return lane;
}

/** The messages of a range as the node took them: without dead ones, its own poison included. */
function sliceOf(node: string, lane: ModelLane, input: StepInput, step: StepRecord): InputSlice | undefined {
  const poison = new Set(step.dead.filter((d) => d.node === node && d.lane === lane.name).map((d) => formatPoint(d)));
  const items = itemsWithin(lane.items, input.from, input.to).filter(
    (item) => item.deadAt === undefined && !poison.has(formatPoint(item)),
  );
  if (items.length === 0) return undefined;
  return {
    lane: lane.name,
    input: lane.input,
    batch: new RowBatch(items.map((item) => item.row)),
    positions: positionsOf(items),
    late: lane.late,
  };
}

function positionsOf(items: readonly LaneItem[]): Positions {
  return Positions.of(
    Float64Array.from(items, (item) => item.pos),
    Uint32Array.from(items, (item) => item.ord),
  );
}
