/**
 * Rates from counters. A rate is the growth of a counter since the sample about two seconds ago: sources read in large
 * pieces, and over a shorter time their rates would jump between none and double. A counter that fell (a new incarnation)
 * counts from zero.
 */
import type { Clock, EdgeStatus, GraphHost, GraphStatus, NodeStatus } from "@millrace/engine";
import { bottlenecksOf } from "./bottlenecks.ts";
import type { LiveEdge, LiveGraphDetail, LiveNode, Snapshot } from "./live-status.ts";

const WINDOW_MS = 2000;
const SAMPLES_MAX = 16;

interface Sample {
  readonly monotonicMs: number;
  readonly graphs: ReadonlyMap<string, GraphCounters>;
}

interface GraphCounters {
  readonly status: GraphStatus;
  readonly nodes: ReadonlyMap<string, NodeStatus>;
  readonly edges: ReadonlyMap<string, EdgeStatus>;
}

export class RateSampler {
  readonly #host: GraphHost;
  readonly #clock: Clock;
  #samples: Sample[] = [];

  constructor(host: GraphHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  /** Takes a sample and answers the rates up to it. The first sample after a pause has rates 0. */
  sample(): Snapshot {
    const now: Sample = { monotonicMs: this.#clock.monotonic(), graphs: countersOf(this.#host.list()) };
    const before = this.#since(now.monotonicMs);
    const seconds = before ? (now.monotonicMs - before.monotonicMs) / 1000 : 0;
    const graphs = [...now.graphs].map(([name, counters]) => liveGraph(counters, before?.graphs.get(name), seconds));
    this.#samples.push(now);
    return { atMs: this.#clock.now(), graphs };
  }

  /** Forgets the samples: after a pause they say nothing about now. */
  reset(): void {
    this.#samples = [];
  }

  /** The youngest sample that is at least a window old, else the oldest there is; older ones are dropped. */
  #since(nowMs: number): Sample | undefined {
    const old = this.#samples.findLastIndex((sample) => nowMs - sample.monotonicMs >= WINDOW_MS - 20);
    if (old > 0) this.#samples.splice(0, old);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.splice(0, this.#samples.length - SAMPLES_MAX);
    return this.#samples[0];
  }
}

function countersOf(statuses: readonly GraphStatus[]): ReadonlyMap<string, GraphCounters> {
  return new Map(
    statuses.map((status) => [
      status.graph,
      {
        status,
        nodes: new Map(status.nodes.map((node) => [node.node, node])),
        edges: new Map(status.edges.map((edge) => [edge.edge, edge])),
      },
    ]),
  );
}

function liveGraph({ status }: GraphCounters, before: GraphCounters | undefined, seconds: number): LiveGraphDetail {
  const edges = status.edges.map((edge) => liveEdge(edge, before?.edges.get(edge.edge), seconds));
  const inputs = groupByReceiver(status.edges);
  const nodes = status.nodes.map((node) =>
    liveNode(node, before?.nodes.get(node.node), seconds, inputs.get(node.node) ?? []),
  );
  const { nodes: _nodes, edges: _edges, ...head } = status;
  return {
    ...head,
    inRate: perSecond(status.messagesIn, before?.status.messagesIn, seconds),
    outRate: perSecond(status.messagesOut, before?.status.messagesOut, seconds),
    nodeCount: nodes.length,
    edgeCount: edges.length,
    bottlenecks: bottlenecksOf(nodes),
    nodes,
    edges,
  };
}

function liveEdge(edge: EdgeStatus, before: EdgeStatus | undefined, seconds: number): LiveEdge {
  const { edge: name, messages, depth, capacity, oldestMs, dropped, watermarkMs, aligning } = edge;
  return {
    edge: name,
    rate: perSecond(messages, before?.messages, seconds),
    messages,
    depth,
    capacity,
    oldestMs,
    dropped,
    watermarkMs,
    ...(aligning === undefined ? {} : { aligning }),
  };
}

function liveNode(
  node: NodeStatus,
  before: NodeStatus | undefined,
  seconds: number,
  inputs: readonly EdgeStatus[],
): LiveNode {
  return {
    node: node.node,
    state: node.state,
    inRate: perSecond(node.messagesIn, before?.messagesIn, seconds),
    outRate: perSecond(node.messagesOut, before?.messagesOut, seconds),
    busy: share(node.busyMs, before?.busyMs, seconds),
    blocked: share(node.blockedMs, before?.blockedMs, seconds),
    pressure: node.pressure,
    depth: sum(inputs, (edge) => edge.depth),
    capacity: sum(inputs, (edge) => edge.capacity),
    fill: round(inputs.reduce((most, edge) => Math.max(most, fillOf(edge)), 0)),
    messagesIn: node.messagesIn,
    messagesOut: node.messagesOut,
    consumed: node.consumed,
    dropped: node.dropped,
    deadLettered: node.deadLettered,
    restarts: node.restarts,
    steps: node.steps,
    stepsInFlight: node.stepsInFlight,
    commitP99Ms: node.commitP99Ms,
    watermarkMs: node.watermarkMs,
    reason: node.reason,
    error: node.lastError ? `${node.lastError.code}: ${node.lastError.message}` : null,
  };
}

function groupByReceiver(edges: readonly EdgeStatus[]): Map<string, EdgeStatus[]> {
  const groups = new Map<string, EdgeStatus[]>();
  for (const edge of edges) {
    const group = groups.get(edge.to);
    if (group) group.push(edge);
    else groups.set(edge.to, [edge]);
  }
  return groups;
}

const fillOf = ({ depth, capacity }: EdgeStatus): number => (capacity > 0 ? Math.min(1, depth / capacity) : 0);

function perSecond(now: number, before: number | undefined, seconds: number): number {
  if (before === undefined || seconds <= 0) return 0;
  const rate = (now < before ? now : now - before) / seconds;
  return rate >= 100 ? Math.round(rate) : Math.round(rate * 10) / 10;
}

/** Milliseconds per second as a share of one. */
function share(nowMs: number, beforeMs: number | undefined, seconds: number): number {
  if (beforeMs === undefined || seconds <= 0) return 0;
  return round(Math.min(1, Math.max(0, nowMs - beforeMs) / (seconds * 1000)));
}

const round = (value: number): number => Math.round(value * 1000) / 1000;

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
