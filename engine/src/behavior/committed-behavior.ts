/**
 * What a node with state, effects or non-determinism does. The kernel turns waiting frames into a **step**: it opens a draft,
 * hands the slices to `take` in the order that the step will record, then calls `advance` if the node's watermark rose, then
 * `finish`; after that state changes, outputs, dead letters and consumed positions are one atomic append (DESIGN §3). Outputs
 * leave, and inputs are acknowledged, once that append is durable.
 *
 * State may run ahead of the disk by the steps in flight. If an append fails the incarnation ends and a new one folds the log.
 */
import type { ConnectionStatus } from "../connection/connection-status.ts";
import type { Batch } from "../frame/batch.ts";
import type { LateMark } from "../frame/frame.ts";
import type { Json, JsonObject } from "../frame/json.ts";
import type { Positions } from "../frame/positions.ts";
import type { SinkGuarantee } from "../sink/sink-guarantee.ts";
import type { MessageFailure } from "./pure-behavior.ts";

/** Messages of one lane that the node has not seen yet. */
export interface InputSlice {
  /** Stable name of the lane: origin and route. With `(pos, ord)` it identifies a message for ever (R27). */
  readonly lane: string;
  /** Which input of the node the lane arrives at, by the order of the graph file. */
  readonly input: number;
  readonly batch: Batch;
  readonly positions: Positions;
  /** Messages behind the lane's watermark, by `pos` (R19). */
  readonly late: readonly LateMark[];
}

/** Anything that msgpack can say, byte arrays included. Typed arrays other than bytes must be passed as their bytes. */
export type StateEvent =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly StateEvent[]
  | { readonly [key: string]: StateEvent };

/** An emitted message behind the watermark of what was emitted before it. */
export interface LateEmit {
  /** In the batch that is emitted. */
  readonly index: number;
  /** The watermark just before it, in ms since 1970. */
  readonly watermark: number;
}

/** What the outputs of a node say of its progress. */
export interface OutputProgress {
  /** Event time in ms up to which nothing more will be emitted. */
  readonly watermark: number;
  readonly idle: boolean;
}

/** One step in the making. Valid only until `finish` has ended. */
export interface Draft {
  /** Milliseconds since 1970, never less than in the step before. The only time that a behavior may read (R13). */
  readonly at: number;
  /**
   * Queues messages for a port. They get the next sequence numbers of that port in call order. `late`, by index: only a source knows
   * (R19), and it is told once, with the step.
   */
  emit(port: string, batch: Batch, late?: readonly LateEmit[]): void;
  /** Logs a state change. Replay passes it to {@link CommittedBehavior.fold}; that alone must lead to the same state. */
  change(event: StateEvent): void;
  /** Gives up on messages of a slice: they become dead letters of this step. */
  reject(slice: InputSlice, failures: readonly MessageFailure[], attempts?: number): void;
  /** For nodes without inputs: event time up to which nothing older will be emitted, in ms since 1970. Never falling. */
  advanceOutput(watermarkMs: number): void;
  /** For nodes without inputs: nothing came for a while, so that nobody waits for their watermark until they emit again. */
  restOutput(): void;
  /** Counts messages that the node consumed on purpose without output (late, conflated). Shown, never silent. */
  drop(count: number, reason: string): void;
  /**
   * A result that the code could not compute: a draw or an answer to a call (R13). In a live run `obtain` is called and its
   * value logged; in a replay the logged value is returned.
   */
  record<T extends Json>(obtain: () => T): T;
  recordAsync<T extends Json>(obtain: () => Promise<T>): Promise<T>;
}

/** State in terms of the graph file. */
export interface StateTable {
  /** Fields that identify a row; none where there is one row at most. */
  readonly key: readonly string[];
  readonly rows: readonly JsonObject[];
}

/** What a behavior may ask of its actor outside of a step. */
export interface CommittedContext {
  readonly graph: string;
  readonly node: string;
  readonly revision: number;
  /** What the node's outputs said as of the last step in the log. */
  readonly output: OutputProgress;
  /**
   * Asks for a step without inputs (timer, HTTP push, tick). `run` is called with a draft when the node's turn comes;
   * the promise resolves with the log position once the step is durable. Waits while outputs are backed up.
   */
  request(run: (draft: Draft) => void | Promise<void>): Promise<number>;
  /** Ends the incarnation for what waiting does not cure; whether there is another one, supervision decides. */
  fail(error: unknown): void;
  /** Stops the behavior's own waiting and calls when the actor stops. */
  readonly signal: AbortSignal;
}

export interface CommittedBehavior {
  readonly kind: "committed";
  readonly ports: readonly string[];
  /** Version of the shape of state events and snapshots; a snapshot of another version is ignored. Default 1. */
  readonly stateVersion?: number;
  /** Most messages joined into one step. Default 4096. */
  readonly stepMessagesMax?: number;
  /**
   * For sinks: how strong the effect outside is (R27). Absent: the log is the only effect.
   */
  readonly guarantee?: SinkGuarantee;
  /** Of a source that comes to an end: the step with the last that it will ever emit was sealed. */
  hasEnded?(): boolean;
  /** The connection to what is outside, for whoever wants to see it. */
  connection?(): ConnectionStatus;
  /** Called once after recovery, before the first `take`. A sink brings its target to what the folded state says. */
  open?(context: CommittedContext): void | Promise<void>;
  /** Handles new messages of one lane, on the draft. May be called several times per step. */
  take(draft: Draft, slice: InputSlice): void;
  /** The node's event-time watermark rose to `watermark` ms (after everything taken so far). */
  advance?(draft: Draft, watermark: number): void;
  /** Least event time of anything the node may still emit (R20), if that is below its watermark. */
  hold?(): number;
  /** Last call of a step: deliver, call out. Runs again from a fresh draft when it fails with a transient error. */
  finish?(draft: Draft): void | Promise<void>;
  /** The draft became a step: forget how to undo it. */
  seal(): void;
  /** Undo every change since the last `seal`: the draft is thrown away (R14). */
  discard(): void;
  /** Applies a logged state event. `take` and `advance` are not called in a replay. */
  fold(event: StateEvent): void;
  /** The node's watermark after a folded step; closed windows follow from it and are not logged. */
  foldWatermark?(watermark: number): void;
  /** Whole state for a snapshot; `undefined`: do not take snapshots. */
  snapshot?(): StateEvent;
  restore?(snapshot: StateEvent): void;
  /** The folded state as people read it, as a table. Default: what {@link snapshot} says. */
  inspect?(): StateTable;
  /** What the behavior says of itself and of its health, for people; shown with the node's status. Asked at any time. */
  describe?(): Json;
  /** The incarnation ends; release what `open` took. */
  close?(): void | Promise<void>;
}
