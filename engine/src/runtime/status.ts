/**
 * What can be seen of a running graph: plain data, safe to serialise, cheap to take. Counters only grow within one
 * incarnation of the runtime; rates are made by whoever samples them (the gateway, at 4 Hz).
 */
import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { ErrorReport } from "../errors.ts";
import type { Json } from "../frame/json.ts";
import type { WebhookKeys } from "../webhook/webhook-keys.ts";

export type GraphState = "starting" | "running" | "suspended" | "draining" | "finished" | "stopped" | "failed";

export type NodeState = "starting" | "running" | "waiting" | "backing-off" | "parked" | "finished" | "stopped";

/** Why a node makes no more progress than it does, as far as it is known. */
export type Pressure = "none" | "source" | "cpu" | "sink" | "downstream" | "alignment";

export interface NodeStatus {
  readonly node: string;
  readonly kind: string;
  /** `pure` nodes append nothing; `committed` ones have a stream; `source` nodes are origins. */
  readonly role: "source" | "pure" | "committed";
  readonly state: NodeState;
  /** Delivery promise of a sink, as labelled in plan and console; absent for other nodes. */
  readonly guarantee?: "exactly-once" | "at-least-once" | "best-effort";
  readonly messagesIn: number;
  readonly messagesOut: number;
  /** Consumed on purpose without output: filtered, folded into state, delivered. */
  readonly consumed: number;
  readonly dropped: number;
  /** Messages that this node gave up on. */
  readonly deadLettered: number;
  readonly restarts: number;
  /** Steps committed; 0 for pure nodes. */
  readonly steps: number;
  /** Steps appended and not yet durable. */
  readonly stepsInFlight: number;
  /** 99th percentile of arrival → durable over the last ten seconds, in ms; `null` where there was no step. */
  readonly commitP99Ms: number | null;
  /** Milliseconds of CPU that the behavior used. */
  readonly busyMs: number;
  /** Milliseconds in which the node had input but no credit to pass output on. */
  readonly blockedMs: number;
  readonly pressure: Pressure;
  /** Event time in ms since 1970, or `null`. */
  readonly watermarkMs: number | null;
  readonly epoch: number;
  readonly lastError: ErrorReport | null;
  /** Why the node is in its state, in one sentence; empty while it runs. */
  readonly reason: string;
  /** It runs on another host, which knows its state and counters; absent: it does not. */
  readonly isElsewhere?: true;
  /** Of a source or sink that is connected to something outside; absent for other nodes. */
  readonly connection?: ConnectionStatus;
  /** What the node says of itself: of a calculator where it runs, its health and its `details()`. Absent: nothing. */
  readonly details?: Json;
}

export interface EdgeStatus {
  /** `from -> to` as in the graph file, `from.port -> to` for named ports. */
  readonly edge: string;
  readonly from: string;
  readonly port: string;
  readonly to: string;
  /** Address of the edge on a broker; every edge has one, brokered or not. */
  readonly subject: string;
  readonly via: "local" | "nats" | "kafka";
  readonly messages: number;
  readonly frames: number;
  /** Messages waiting in the receiver's mailbox. */
  readonly depth: number;
  readonly capacity: number;
  /** Age in ms of the oldest waiting message. */
  readonly oldestMs: number;
  readonly dropped: number;
  readonly watermarkMs: number | null;
  /** Lanes of the edge that wait because they are ahead in event time, and the origin they wait for; absent: none does. */
  readonly aligning?: { readonly lanes: number; readonly behind: string };
  /** Of an edge that leads over a broker. */
  readonly connection?: ConnectionStatus;
}

export interface GraphStatus {
  readonly graph: string;
  readonly revision: number;
  readonly state: GraphState;
  readonly durability: "durable" | "relaxed";
  readonly startedMs: number;
  readonly nodes: readonly NodeStatus[];
  readonly edges: readonly EdgeStatus[];
  /** Messages read by sources. */
  readonly messagesIn: number;
  /** Messages delivered by sinks. */
  readonly messagesOut: number;
  /** Dead letters written down. Where nothing filters or aggregates, in = out + dead letters + dropped. */
  readonly deadLettered: number;
  readonly dropped: number;
  /** 99th percentile of arrival → durable over the last ten seconds, in ms; `null` before the first step. */
  readonly commitP99Ms: number | null;
  /** Log position after the newest step. */
  readonly position: number;
}

/** A message seen by a peek, sampled. */
export interface PeekedMessage {
  readonly edge: string;
  readonly pos: number;
  readonly ord: number;
  readonly atMs: number;
  readonly value: Json;
}

export interface DeadLetter {
  /** hash(lane, pos, ord, node), 32 hex digits. */
  readonly id: string;
  readonly graph: string;
  readonly node: string;
  readonly lane: string;
  readonly pos: number;
  readonly ord: number;
  readonly attempts: number;
  readonly error: ErrorReport;
  readonly input: Json;
  /** Log position of the step that recorded it. */
  readonly position: number;
  readonly timeMs: number;
  readonly state: "waiting" | "redriven" | "discarded";
}

/** What the gateway and the CLI may do with the graphs of this host. Every mutation says who and why, and is an event. */
export interface GraphHost {
  list(): readonly GraphStatus[];
  status(graph: string): GraphStatus | undefined;
  /** The graph file of the running revision, as text. */
  source(graph: string): string | undefined;
  stop(graph: string, by: Mutation): Promise<void>;
  start(graph: string, by: Mutation): Promise<void>;
  suspend(graph: string, by: Mutation): Promise<void>;
  resume(graph: string, by: Mutation): Promise<void>;
  /** Samples at most `perSecond` messages of an edge until `signal` aborts. */
  peek(graph: string, edge: string, perSecond: number, signal: AbortSignal): AsyncIterable<readonly PeekedMessage[]>;
  /** The newest messages that crossed an edge, newest first, at most 50. */
  recent(graph: string, edge: string): readonly PeekedMessage[];
  /** Accepts messages for a `http:` source; resolves with the log position once they are durable. */
  push(graph: string, node: string, messages: readonly Json[], idempotencyKey?: string): Promise<number>;
  /** What pushes to a source must be signed with; `undefined`: they need not be signed. */
  pushKeys(graph: string, node: string): WebhookKeys | undefined;
  /** Sends dead letters through their node again, as new input with positions of their own. */
  redrive(graph: string, ids: readonly string[], by: Mutation): Promise<number>;
}

export interface Mutation {
  readonly principal: string;
  readonly reason: string;
}
