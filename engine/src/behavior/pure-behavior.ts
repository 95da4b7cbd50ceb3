/**
 * What a stateless node does with messages. Pure means: every output depends on exactly one input message, the graph
 * revision and tables pinned by it (step-protocol §1). It appends nothing, because it can be done again: the kernel may run
 * it any number of times on the same messages, in frames cut differently, and must get the same outputs.
 */
import type { Batch } from "../frame/batch.ts";
import type { Json } from "../frame/json.ts";

/** One message that a behavior could not handle, by its index in the batch. */
export interface MessageFailure {
  readonly index: number;
  /** A `MillraceError` where there is one, so that code and place reach the dead letter. */
  readonly error: unknown;
  /** The node that failed, where it is not the one that reports it: stages of a fused actor. */
  readonly node?: string;
}

/** What goes out on one port. */
export interface PureOutput {
  readonly batch: Batch;
  /**
   * For each output message the index of the input message that it came from, ascending; only a behavior that `expands` may
   * repeat one.
   * `null`: one to one, in order. Then the batch has as many messages as the input.
   */
  readonly sources: Uint32Array | null;
}

export interface PureResult {
  /** One per port of the behavior, in their order. */
  readonly outputs: readonly PureOutput[];
  /** Messages that failed for good and deterministically (R24). They must not appear in any output. */
  readonly failures: readonly MessageFailure[];
}

export interface PureBehavior {
  readonly kind: "pure";
  /** Output ports; most behaviors have just `"out"`. */
  readonly ports: readonly string[];
  /**
   * True when one message may become several. Ordinals are then renumbered whatever a frame happens to contain, so that a
   * message has the same `(pos, ord)` however frames are cut (R4). Default false.
   */
  readonly expands?: boolean;
  /**
   * Handles all messages of a batch. An exception fails the whole batch: the kernel bisects it down to the poison message,
   * which is slower than reporting `failures`.
   */
  transform(batch: Batch): PureResult;
  /**
   * The behavior as a function of one row, if it is that simple: the planner fuses neighbours that have it into one loop.
   * `undefined` drops the message. Must agree with {@link transform}.
   */
  readonly row?: (row: Json) => Json | undefined;
  /** What the behavior says of itself, for people; shown with the node's status. */
  readonly describe?: () => Json;
}

const NO_FAILURES: readonly MessageFailure[] = [];

/** The common case: one port, nothing failed. */
export function pureResult(
  batch: Batch,
  sources: Uint32Array | null = null,
  failures: readonly MessageFailure[] = NO_FAILURES,
): PureResult {
  return { outputs: [{ batch, sources }], failures };
}
