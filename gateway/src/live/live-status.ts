/** What a live snapshot says: the state and the rates of graphs, made from counters by {@link RateSampler}. */
import type { GraphState, NodeState, NodeStatus, Pressure } from "@millrace/engine";

export interface LiveNode {
  readonly node: string;
  readonly state: NodeState;
  /** Messages per second over the last two seconds. */
  readonly inRate: number;
  readonly outRate: number;
  /** Share of its time that the behavior computed, `0..1`. */
  readonly busy: number;
  /** Share of its time that it had input but no credit, `0..1`. */
  readonly blocked: number;
  readonly pressure: Pressure;
  /** Messages waiting over all its input edges, and room for them. */
  readonly depth: number;
  readonly capacity: number;
  /** Fill of its fullest input edge, `0..1`. */
  readonly fill: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly consumed: number;
  readonly dropped: number;
  readonly deadLettered: number;
  readonly restarts: number;
  readonly steps: number;
  readonly stepsInFlight: number;
  /** 99th percentile of arrival to durable over the last ten seconds; `null` for nodes that append nothing. */
  readonly commitP99Ms: number | null;
  readonly watermarkMs: number | null;
  readonly reason: string;
  readonly error: string | null;
}

export interface LiveEdge {
  readonly edge: string;
  /** Messages per second over the last two seconds. */
  readonly rate: number;
  readonly messages: number;
  readonly depth: number;
  readonly capacity: number;
  readonly oldestMs: number;
  readonly dropped: number;
  readonly watermarkMs: number | null;
  /** Lanes that wait because they are ahead in event time, and the origin they wait for; absent: none does. */
  readonly aligning?: { readonly lanes: number; readonly behind: string };
}

export interface Bottleneck {
  readonly node: string;
  /** How much it holds the graph back, `0..1`; the list is sorted by it. */
  readonly share: number;
  readonly cause: Pressure | NodeState;
  readonly sentence: string;
}

export interface LiveGraph {
  readonly graph: string;
  readonly revision: number;
  readonly state: GraphState;
  readonly durability: "durable" | "relaxed";
  readonly startedMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly deadLettered: number;
  readonly dropped: number;
  readonly inRate: number;
  readonly outRate: number;
  readonly commitP99Ms: number | null;
  readonly position: number;
  readonly nodeCount: number;
  readonly edgeCount: number;
  readonly bottlenecks: readonly Bottleneck[];
}

export interface LiveGraphDetail extends LiveGraph {
  readonly nodes: readonly LiveNode[];
  readonly edges: readonly LiveEdge[];
}

export interface Snapshot {
  readonly atMs: number;
  readonly graphs: readonly LiveGraphDetail[];
}

export const isStuck = (state: NodeStatus["state"]): boolean => state === "parked" || state === "backing-off";
