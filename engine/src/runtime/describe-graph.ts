import type { ErrorReport } from "../errors.ts";
import type { ChildStatus } from "../supervision/supervisor.ts";
import type { GraphWiring } from "./graph-wiring.ts";
import type { AligningInputs, NodeRunner } from "./node-runner.ts";
import { edgeName } from "./plan.ts";
import type { GraphProgram, ProgramNode } from "./program.ts";
import type { EdgeStatus, GraphState, GraphStatus, NodeState, NodeStatus, Pressure } from "./status.ts";

/** What is known of a node: its definition, its present incarnation, its supervisor's view and why it waits. */
export interface NodeView {
  readonly node: ProgramNode;
  readonly runner: NodeRunner | undefined;
  readonly child: ChildStatus | undefined;
  readonly waiting: ErrorReport | undefined;
}

/** What waits for a node: found out once for each, however many edges lead to it. */
interface Waiting {
  readonly isFull: boolean;
  /** Monotonic ms at which the oldest message was born; `undefined` where none waits. */
  readonly oldestMs: number | undefined;
}

/** Share of a mailbox. */
const FULL_FROM = 0.61;

type WaitingByNode = ReadonlyMap<string, Waiting>;

/** Takes time in proportion to nodes, edges and lanes: it is asked for while the graph runs, by many, again and again. */
export function describeGraph(
  program: GraphProgram,
  state: GraphState,
  startedMs: number,
  nowMs: number,
  views: readonly NodeView[],
  wiring: GraphWiring | undefined,
): GraphStatus {
  const waitingFor = waitingByNode(views, wiring);
  const nodes = views.map((view) => describeNode(view, state, wiring, waitingFor));
  const sum = (pick: (node: NodeStatus, of: ProgramNode) => number): number =>
    nodes.reduce((total, node, i) => total + pick(node, (views[i] as NodeView).node), 0);
  const p99 = views.map((v) => v.runner?.commitP99Ms ?? null).filter((ms) => ms !== null);
  return {
    graph: program.graph,
    revision: program.revision,
    state,
    durability: program.durability,
    startedMs,
    nodes,
    edges: wiring === undefined ? [] : describeEdges(program, wiring, nowMs, views, waitingFor),
    messagesIn: sum((n, of) =>
      of.role === "source" ? n.messagesIn : of.role === "committed" && of.isSource === true ? n.messagesOut : 0,
    ),
    messagesOut: sum((n, of) => (of.role === "committed" && of.isSink === true ? n.messagesIn - n.deadLettered : 0)),
    // Only what a step wrote down counts: pure nodes and sources may do the same work again.
    deadLettered: sum((n, of) => (of.role === "committed" ? n.deadLettered : 0)) + carriedDead(views),
    dropped: sum((n, of) => (of.role === "committed" ? n.dropped : 0)),
    commitP99Ms: p99.length === 0 ? null : most(p99),
    position: most(views.map((v) => v.runner?.position ?? 0)),
  };
}

/** Of any number of them: as arguments of a function they would have to fit on its stack. */
function most(numbers: readonly number[]): number {
  return numbers.reduce((greatest, n) => Math.max(greatest, n), 0);
}

function waitingByNode(views: readonly NodeView[], wiring: GraphWiring | undefined): WaitingByNode {
  if (wiring === undefined) return new Map();
  return new Map(
    views.flatMap(({ node: { name, role } }) => {
      if (role === "source") return [];
      const mailbox = wiring.mailbox(name);
      return [[name, { isFull: mailbox.depth / mailbox.capacity >= FULL_FROM, oldestMs: mailbox.oldestBornMs }]];
    }),
  );
}

function carriedDead(views: readonly NodeView[]): number {
  return views.reduce((total, { runner }) => total + (runner?.meter.carriedDead ?? 0), 0);
}

function describeNode(
  { node, runner, child, waiting }: NodeView,
  state: GraphState,
  wiring: GraphWiring | undefined,
  waitingFor: WaitingByNode,
): NodeStatus {
  const meter = runner?.meter;
  const guarantee = guaranteeOf(runner);
  const connection = node.role === "source" ? node.connector.connection?.() : runner?.behavior?.connection?.();
  const details = node.role === "pure" ? node.describe?.() : runner?.behavior?.describe?.();
  const watermark = runner?.watermark ?? Number.NEGATIVE_INFINITY;
  const nodeState = stateOf(state, runner, child, waiting);
  const isElsewhere = runner === undefined && state !== "stopped" && state !== "starting";
  return {
    node: node.name,
    kind: node.kind,
    role: node.role,
    state: nodeState,
    ...(guarantee === undefined ? {} : { guarantee }),
    messagesIn: meter?.in ?? 0,
    messagesOut: meter?.out ?? 0,
    consumed: Math.max(0, (meter?.in ?? 0) - (meter?.out ?? 0) - (meter?.dropped ?? 0) - (meter?.dead ?? 0)),
    dropped: (meter?.dropped ?? 0) + (node.role === "pure" ? (wiring?.mailbox(node.name).shed ?? 0) : 0),
    deadLettered: meter?.dead ?? 0,
    restarts: child?.restarts ?? 0,
    steps: meter?.steps ?? 0,
    stepsInFlight: runner?.stepsInFlight ?? 0,
    commitP99Ms: runner?.commitP99Ms ?? null,
    busyMs: meter?.busyMs ?? 0,
    blockedMs: meter?.blockedMs ?? 0,
    pressure: pressureOn(node, runner, waiting, wiring, waitingFor),
    watermarkMs: Number.isFinite(watermark) ? watermark : null,
    epoch: runner?.epoch ?? -1,
    lastError: waiting ?? child?.lastError ?? null,
    reason: reasonOf(nodeState, waiting, child, isElsewhere),
    ...(isElsewhere ? { isElsewhere } : {}),
    ...(connection === undefined ? {} : { connection }),
    ...(details === undefined ? {} : { details }),
  };
}

function guaranteeOf(runner: NodeRunner | undefined): NodeStatus["guarantee"] {
  const guarantee = runner?.behavior?.guarantee;
  if (guarantee === undefined || guarantee === "at-least-once" || guarantee === "best-effort") return guarantee;
  return "exactly-once";
}

function stateOf(
  graph: GraphState,
  runner: NodeRunner | undefined,
  child: ChildStatus | undefined,
  waiting: ErrorReport | undefined,
): NodeState {
  if (graph === "stopped" || runner === undefined) return "stopped";
  if (child?.state === "parked") return "parked";
  if (child?.state === "stopped") return "stopped";
  if (child?.state === "backing-off" || child?.state === "restarting") return "backing-off";
  if (waiting !== undefined) return "waiting";
  if (graph === "starting") return "starting";
  return graph === "finished" ? "finished" : "running";
}

function reasonOf(
  state: NodeState,
  waiting: ErrorReport | undefined,
  child: ChildStatus | undefined,
  isElsewhere: boolean,
): string {
  if (waiting !== undefined) return `${waiting.code}: ${waiting.message}`;
  if (isElsewhere) return "runs on another host";
  if (state !== "parked" && state !== "backing-off") return "";
  const error = child?.lastError;
  return error === null || error === undefined ? "" : `${error.code}: ${error.message}`;
}

function pressureOn(
  node: ProgramNode,
  runner: NodeRunner | undefined,
  waiting: ErrorReport | undefined,
  wiring: GraphWiring | undefined,
  waitingFor: WaitingByNode,
): Pressure {
  if (waiting !== undefined) return node.role === "source" ? "source" : "sink";
  if (wiring === undefined || runner === undefined || node.role === "source") return "none";
  const isFull = (name: string): boolean => waitingFor.get(name)?.isFull === true;
  if (wiring.receiversOf(node.name).some(isFull)) return "downstream";
  if (!isFull(node.name)) return "none";
  if (runner.aligning !== undefined) return "alignment";
  return node.role === "committed" && runner.stepsInFlight > 0 && node.isSink === true ? "sink" : "cpu";
}

function describeEdges(
  program: GraphProgram,
  wiring: GraphWiring,
  nowMs: number,
  views: readonly NodeView[],
  waitingFor: WaitingByNode,
): EdgeStatus[] {
  const held = new Map(views.map(({ node, runner }) => [node.name, heldBy(runner?.aligning)]));
  return wiring.plan.edges.map((edge, i) => {
    const out = wiring.edges[i] as (typeof wiring.edges)[number];
    const mailbox = wiring.mailbox(edge.to);
    const paths = [...out.nextPath.values()];
    const oldest = waitingFor.get(edge.to)?.oldestMs;
    const { messages, frames, watermark } = out.meter;
    const connection = out.link.connection?.();
    const aligning = aligningOf(held.get(edge.to), paths);
    return {
      edge: edgeName(edge),
      from: edge.from,
      port: edge.port,
      to: edge.to,
      subject: out.link.subject ?? `millrace.${program.graph}.${edge.from}.${edge.port}.${edge.to}`,
      via: program.edges[i]?.via ?? "local",
      messages,
      frames,
      depth: paths.reduce((total, path) => total + mailbox.depthOf(path), 0),
      capacity: mailbox.capacity,
      oldestMs: oldest === undefined ? 0 : Math.max(0, nowMs - oldest),
      dropped: mailbox.shed,
      watermarkMs: Number.isFinite(watermark) ? watermark : null,
      ...(aligning === undefined ? {} : { aligning }),
      ...(connection === undefined ? {} : { connection }),
    };
  });
}

interface HeldLanes {
  readonly paths: ReadonlySet<number>;
  readonly behind: string;
}

function heldBy(aligning: AligningInputs | undefined): HeldLanes | undefined {
  return aligning === undefined ? undefined : { paths: new Set(aligning.paths), behind: aligning.behind };
}

function aligningOf(held: HeldLanes | undefined, paths: readonly number[]): EdgeStatus["aligning"] {
  if (held === undefined) return undefined;
  const lanes = paths.filter((path) => held.paths.has(path)).length;
  return lanes === 0 ? undefined : { lanes, behind: held.behind };
}
