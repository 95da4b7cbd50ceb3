/** What the live stream carries: the server's own types, taken from where it makes the messages. */
import type { EventTailMessage } from "../../../src/live/event-tail.ts";
import type { LiveEdge, LiveNode, LiveGraph as LiveSummary } from "../../../src/live/live-status.ts";

export type { PeekMessage } from "../../../src/live/peek-sampler.ts";
export type { LiveEdge, LiveNode };
export type EventsMessage = EventTailMessage;

/** Nodes and edges are there for graphs that are watched in full. */
export interface LiveGraph extends LiveSummary {
  readonly nodes?: readonly LiveNode[];
  readonly edges?: readonly LiveEdge[];
}

export interface StatusMessage {
  readonly atMs: number;
  readonly end: number;
  readonly graphs: readonly LiveGraph[];
}

export const EMPTY_NODES: ReadonlyMap<string, LiveNode> = new Map();
export const EMPTY_EDGES: ReadonlyMap<string, LiveEdge> = new Map();
