/** One node of a running graph: how its incarnations start and stop, and what can be seen of it. */

import type { ActorMeter } from "../actor/meter.ts";
import type { Scheduler } from "../actor/scheduler.ts";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import type { EventLog } from "../log/event-log.ts";
import type { PayloadHolds } from "../payload/frame-holds.ts";
import type { LaneCursor } from "../step/lane-cursor.ts";
import type { ProtocolRules } from "../step/protocol-rules.ts";
import type { SnapshotStore } from "../step/snapshot-store.ts";
import type { GraphWiring } from "./graph-wiring.ts";
import type { PlanLane } from "./plan.ts";
import type { GraphProgram } from "./program.ts";

/** What every node of a graph shares. */
export interface RunnerContext {
  readonly program: GraphProgram;
  readonly wiring: GraphWiring;
  readonly scheduler: Scheduler;
  readonly log: EventLog;
  readonly snapshots: SnapshotStore | undefined;
  /** Name of this host, for `Owned` events. */
  readonly host: string;
  readonly rules: ProtocolRules;
  /** Absent: messages of this host name no payloads. */
  readonly payloads: PayloadHolds | undefined;
  /**
   * Log position after this start's `Owned` events, once all committed nodes have recovered: the epoch of sources. Unlike a
   * clock it grows with every start.
   */
  readonly startEpoch: number;
  /** The receiver's cursor of a lane: once its node has recovered, or as it was last heard of from another host. */
  readonly cursorOf: (lane: PlanLane) => Pick<LaneCursor, "durable" | "durableAnchor"> | undefined;
  /** Whether a lost tail of this host's log takes back all that a node has done: it is here, and has no effect that stays (R16). */
  readonly sharesFate: (node: string) => boolean;
  readonly failed: (node: string, error: unknown) => void;
  readonly waiting: (node: string, error: unknown) => void;
  /** Something was read, committed or finished: the graph may be done. */
  readonly progressed: () => void;
}

export interface AligningInputs {
  /** Paths of the lanes that wait. */
  readonly paths: readonly number[];
  /** Name of the origin that they wait for. */
  readonly behind: string;
}

export interface NodeRunner {
  readonly name: string;
  readonly meter: ActorMeter;
  /** Event-time watermark of what leaves the node, ms since 1970. */
  readonly watermark: number;
  readonly epoch: number;
  readonly stepsInFlight: number;
  /** 99th percentile of arrival to durable, ms; `null` where there are no steps. */
  readonly commitP99Ms: number | null;
  /** Log position after the node's newest step; 0 where there are none. */
  readonly position: number;
  /** Nothing waits and nothing will come of itself. */
  readonly isFinished: boolean;
  /** Reads the node's stream and owns it; sources and pure nodes have nothing to do. */
  recover(): Promise<void>;
  /** Starts what {@link recover} prepared; receivers are started before their origins. */
  start(): Promise<void>;
  stop(): Promise<void>;
  suspend(): void;
  unsuspend(): void;
  /** Inputs that the node holds back until others come near in event time. */
  readonly aligning?: AligningInputs | undefined;
  /** The live behavior of a committed node. */
  readonly behavior: CommittedBehavior | undefined;
}
