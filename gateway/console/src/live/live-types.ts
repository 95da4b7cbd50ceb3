import type { EventHead, PeekedMessage } from "../api.ts";

export interface LiveNode {
  readonly node: string;
  readonly state: string;
  readonly inRate: number;
  readonly outRate: number;
  readonly busy: number;
  readonly blocked: number;
  readonly pressure: string;
  readonly depth: number;
  readonly capacity: number;
  readonly fill: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly consumed: number;
  readonly dropped: number;
  readonly deadLettered: number;
  readonly restarts: number;
  readonly steps: number;
  readonly stepsInFlight: number;
  readonly commitP99Ms: number | null;
  readonly watermarkMs: number | null;
  readonly reason: string;
  readonly error: string | null;
}

export interface LiveEdge {
  readonly edge: string;
  readonly rate: number;
  readonly messages: number;
  readonly depth: number;
  readonly capacity: number;
  readonly oldestMs: number;
  readonly dropped: number;
  readonly watermarkMs: number | null;
}

export interface Bottleneck {
  readonly node: string;
  readonly share: number;
  readonly cause: string;
  readonly sentence: string;
}

export interface LiveGraph {
  readonly graph: string;
  readonly revision: number;
  readonly state: string;
  readonly durability: string;
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
  readonly nodes?: readonly LiveNode[];
  readonly edges?: readonly LiveEdge[];
}

export interface StatusMessage {
  readonly atMs: number;
  readonly end: number;
  readonly graphs: readonly LiveGraph[];
}

export interface EventsMessage {
  readonly events: readonly EventHead[];
  readonly skipped: number;
  readonly end: number;
}

export interface PeekMessage {
  readonly graph: string;
  readonly edge: string;
  readonly messages: readonly PeekedMessage[];
  readonly crossed: number;
  readonly rate: number;
}

export const EMPTY_NODES: ReadonlyMap<string, LiveNode> = new Map();
export const EMPTY_EDGES: ReadonlyMap<string, LiveEdge> = new Map();
