/**
 * The state of a node as its stream tells it: the chain of its steps, and what the behavior's own fold makes of their state
 * events. Begins at a snapshot where there is one that fits. Only `restore`, `fold`, `foldWatermark` and `seal` of the behavior are
 * called: nothing is opened, delivered or sent.
 */
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import type { EventLog, RecordedEvent } from "../log/event-log.ts";
import type { SnapshotStore } from "./snapshot-store.ts";
import { StepChain } from "./step-chain.ts";
import { OWNED, ownedOf, STEP, stepOf } from "./step-record.ts";

export interface StreamFoldOptions {
  readonly log: EventLog;
  readonly stream: string;
  readonly behavior: CommittedBehavior;
  readonly snapshots: SnapshotStore | undefined;
  /** Of the code and definition that fold; a snapshot of another is not used. */
  readonly codeVersion: string;
  /** First graph revision whose state events the behavior understands; what came before counts for cursors only. */
  readonly stateSince: number;
}

export class StreamFold {
  chain: StepChain = new StepChain();
  readonly #options: StreamFoldOptions;

  constructor(options: StreamFoldOptions) {
    this.#options = options;
  }

  /** Takes over the snapshot, unless it holds what is at `end` or later. */
  async restore(end: number = Number.POSITIVE_INFINITY): Promise<void> {
    const { snapshots, stream, behavior, codeVersion } = this.#options;
    const found =
      behavior.restore === undefined ? undefined : snapshots?.read(stream, codeVersion, behavior.stateVersion ?? 1);
    if (found === undefined || !(await this.#isBefore(found.chain.revision, end))) return;
    behavior.restore?.(found.state);
    this.chain = found.chain;
    this.#follow();
  }

  /**
   * Folds what follows, up to the position `end`, exclusive.
   *
   * @throws EVENT-SCHEMA, EVENT-PAYLOAD
   */
  async foldTail(end: number = Number.POSITIVE_INFINITY): Promise<void> {
    const { log, stream } = this.#options;
    for await (const events of log.readStream(stream, { from: this.chain.revision + 1 })) {
      for (const event of events) {
        if (event.position >= end) return;
        this.fold(event);
      }
    }
  }

  /** Folds the next event of the stream. */
  fold(event: RecordedEvent): void {
    this.chain.revision = event.revision;
    if (event.type === OWNED) this.chain.epoch = Math.max(this.chain.epoch, ownedOf(event).epoch);
    if (event.type !== STEP) return;
    const step = stepOf(event);
    this.chain.fold(step);
    // What an older definition of the node made of its state means nothing to this one.
    if (event.context.graphRevision < this.#options.stateSince) return;
    for (const change of step.state) this.#options.behavior.fold(change);
    this.#follow();
  }

  async #isBefore(revision: number, end: number): Promise<boolean> {
    if (end === Number.POSITIVE_INFINITY) return true;
    const { log, stream } = this.#options;
    for await (const [event] of log.readStream(stream, { from: revision, limit: 1 }))
      return event !== undefined && event.position < end;
    return false;
  }

  #follow(): void {
    const { behavior } = this.#options;
    if (this.chain.watermark > Number.NEGATIVE_INFINITY) behavior.foldWatermark?.(this.chain.watermark);
    behavior.seal();
  }
}
