/**
 * Which output of committed nodes still waits in the log for a receiver: a node that starts again sends it from there, so the steps
 * that emitted it must not go (R21). Found from the log alone, whether the graph runs or not. Of a receiver on another host the log
 * has what it said itself.
 */
import { comparePoints, type Point, START, wholly } from "../frame/point.ts";
import type { EventLog } from "../log/event-log.ts";
import { type PlanEdge, type PlanLane, type PlanNode, planGraph } from "../runtime/plan.ts";
import type { CutPoint } from "../runtime/revision-cut.ts";
import { streamOf } from "../runtime/stream-of.ts";
import { HEARD, heardLanes } from "../step/heard-cursors.ts";
import { type PackedChain, packChain, unpackChain } from "../step/packed-chain.ts";
import { StepChain } from "../step/step-chain.ts";
import { STEP, stepOf } from "../step/step-record.ts";

export interface NeededOutputOptions {
  readonly log: EventLog;
  readonly graph: string;
  /** In force: what receivers on other hosts said under another means other lanes. */
  readonly revision: number;
  /** The graph as it would start now. Sources need no partitions. */
  readonly nodes: readonly PlanNode[];
  readonly edges: readonly PlanEdge[];
  /** Where lanes of this revision begin. */
  readonly begins: readonly CutPoint[];
  /** By node: the fold of its steps below {@link end}. */
  readonly chains: ReadonlyMap<string, StepChain>;
  /** By the origin's name: what sources that read from this log have of it below {@link end}, the last offset of each. Default none. */
  readonly sourceEnds?: ReadonlyMap<string, number>;
  readonly end: number;
}

/** Output that a receiver has not durably passed. */
export interface NeededOutput {
  /** Node that sends it, and the receiver that has not passed it. */
  readonly node: string;
  readonly receiver: string;
  /** What the receiver has passed. */
  readonly after: Point;
  /** Of the oldest step that emitted some of it; `undefined` of a source, which knows itself where its offsets are. */
  readonly position: number | undefined;
}

/** @throws PLAN-ROUTES, PLAN-DANGLING, PLAN-CYCLE */
export async function neededOutput(options: NeededOutputOptions): Promise<readonly NeededOutput[]> {
  const { log, graph, revision } = options;
  const heard = new Map<string, Point>();
  for (const { lane, durable } of await heardLanes(log, streamOf(graph, HEARD), revision))
    if (lane !== undefined) heard.set(lane, durable);
  const waiting = waitingLanes(options, heard, planGraph(options.nodes, options.edges).lanes);
  for (const [receiver, lanes] of byReceiver(waiting)) await follow(options, receiver, lanes);
  const needed: NeededOutput[] = [];
  for (const { lane, cursor, target } of waiting) {
    if (comparePoints(cursor, target) >= 0) continue;
    const { name, node, part: port } = lane.origin;
    const isSource = options.sourceEnds?.has(name) === true;
    const position = isSource ? undefined : await emittedAfter(options, node, port, cursor);
    if (isSource || position !== undefined) needed.push({ node, receiver: lane.receiver, after: cursor, position });
  }
  return needed;
}

/** A lane whose receiver was behind what its origin had emitted by then. */
interface WaitingLane {
  readonly lane: PlanLane;
  /** The last of what its origin had emitted. */
  readonly target: Point;
  cursor: Point;
}

/** @param heard by lane, how far receivers on other hosts said that they are */
function waitingLanes(
  options: NeededOutputOptions,
  heard: ReadonlyMap<string, Point>,
  lanes: readonly PlanLane[],
): WaitingLane[] {
  const { chains, begins, sourceEnds } = options;
  return lanes.flatMap((lane) => {
    const emitted = chains.get(lane.origin.node)?.nextSeq.get(lane.origin.part) ?? 0;
    const next = (sourceEnds?.get(lane.origin.name) ?? emitted - 1) + 1;
    const begin = begins.find(({ origin }) => origin === lane.origin.name);
    const known = chains.get(lane.receiver)?.lanes.get(lane.name)?.cursor ?? START;
    const begun = begin === undefined ? START : wholly(begin.pos);
    const cursor = [begun, known, heard.get(lane.name) ?? START].reduce((a, b) => (comparePoints(a, b) < 0 ? b : a));
    const target = wholly(next - 1);
    return next > 0 && comparePoints(cursor, target) < 0 ? [{ lane, target, cursor }] : [];
  });
}

function byReceiver(waiting: readonly WaitingLane[]): Map<string, WaitingLane[]> {
  const found = new Map<string, WaitingLane[]>();
  for (const one of waiting) found.set(one.lane.receiver, [...(found.get(one.lane.receiver) ?? []), one]);
  return found;
}

/** Folds what the receiver has consumed since, until it has passed everything or there is no more. */
async function follow(
  { log, graph, chains }: NeededOutputOptions,
  receiver: string,
  lanes: WaitingLane[],
): Promise<void> {
  const known = chains.get(receiver);
  const chain = known === undefined ? new StepChain() : unpackChain(packChain(known) as unknown as PackedChain);
  for await (const events of log.readStream(streamOf(graph, receiver), { from: chain.revision + 1 })) {
    for (const event of events) {
      if (event.type !== STEP) continue;
      chain.fold(stepOf(event));
    }
    for (const one of lanes) {
      const cursor = chain.lanes.get(one.lane.name)?.cursor ?? START;
      if (comparePoints(cursor, one.cursor) > 0) one.cursor = cursor;
    }
    if (lanes.every(({ cursor, target }) => comparePoints(cursor, target) >= 0)) return;
  }
}

/** Position of the oldest step that emitted something behind `cursor`, among those that would go. */
async function emittedAfter(
  { log, graph, chains }: NeededOutputOptions,
  node: string,
  port: string,
  cursor: Point,
): Promise<number | undefined> {
  const stream = streamOf(graph, node);
  const last = chains.get(node)?.revision ?? -1;
  // What went before was not needed then, and nobody has asked for it since.
  if (last <= ((await log.carried?.(stream))?.revision ?? -1)) return undefined;
  let oldest: number | undefined;
  for await (const events of log.readStream(stream, { direction: "backward", from: last })) {
    for (const event of events) {
      if (event.type !== STEP) continue;
      const emitted = stepOf(event).emitted.filter((e) => e.port === port);
      const [first] = emitted;
      const end = emitted.at(-1);
      if (first === undefined || end === undefined) continue;
      if (comparePoints(wholly(end.firstSeq + end.count - 1), cursor) <= 0) return oldest;
      oldest = event.position;
    }
  }
  return oldest;
}
