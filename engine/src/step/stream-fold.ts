/**
 * The state of a node as its stream tells it: the chain of its steps, and what the behavior's own fold makes of their state
 * events. Begins at what a prune carried, or at a snapshot where there is one that fits. Only `restore`, `fold`, `foldWatermark` and `seal` of the behavior are
 * called: nothing is opened, delivered or sent.
 */
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { engineError } from "../errors.ts";
import type { EventLog, RecordedEvent } from "../log/event-log.ts";
import { type CarriedState, decodeCarriedState } from "./carried-state.ts";
import { type Snapshot, SnapshotStore } from "./snapshot-store.ts";
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
  /** Leaves snapshots of its own behind, for folds like it, where there are none: of nodes that take none as they run. Default false. */
  readonly leavesSnapshots?: boolean;
}

/** Snapshots of folds are not for nodes, which may have a state of another shape as they run. */
const folded = (codeVersion: string): string => `folded ${codeVersion}`;

export class StreamFold {
  chain: StepChain = new StepChain();
  readonly #options: StreamFoldOptions;
  #hasState = false;
  /** Since the snapshot that the fold began with or left. */
  #steps = 0;
  #stepBytes = 0;
  #snapshotBytes = 0;

  constructor(options: StreamFoldOptions) {
    this.#options = options;
  }

  /** A step of the behavior's own definition has been folded. */
  get hasState(): boolean {
    return this.#hasState;
  }

  /**
   * Takes over what a prune carried, or the snapshot if that is newer and holds nothing that is at `end` or later. `end` is not below the
   * log's base.
   *
   * @throws NODE-STATE what was carried cannot be read by this code
   */
  async restore(end: number = Number.POSITIVE_INFINITY): Promise<void> {
    const { stream, behavior } = this.#options;
    const carried = await carriedState(this.#options.log, stream);
    const found = behavior.restore === undefined ? undefined : this.#snapshot(end);
    if (found !== undefined && found.chain.revision > (carried?.chain.revision ?? -1)) {
      behavior.restore?.(found.state);
      this.chain = found.chain;
      this.#follow();
    } else if (carried !== undefined) this.#goOnFrom(carried);
  }

  /** The fold so far, to be carried by a prune. */
  carry(graphRevision: number): CarriedState {
    const { snapshot, stateVersion = 1 } = this.#options.behavior;
    const value = this.#hasState ? (snapshot?.() ?? null) : null;
    // Whatever has no state says so by nothing, and begins so by itself.
    return { chain: this.chain, graphRevision, state: value === null ? undefined : { version: stateVersion, value } };
  }

  /**
   * Folds what follows, up to the position `end`, exclusive.
   *
   * @throws EVENT-SCHEMA, EVENT-PAYLOAD
   */
  async foldTail(end: number = Number.POSITIVE_INFINITY): Promise<void> {
    const { log, stream } = this.#options;
    for await (const events of log.readStream(stream, { from: this.chain.revision + 1 })) {
      const wanted = events.filter(({ position }) => position < end);
      // Not waited for one by one: events of a batch may not outlive the next wait.
      const left = wanted.map((event) => {
        this.fold(event);
        return this.#leaveSnapshot(event);
      });
      await Promise.all(left);
      if (wanted.length < events.length) return;
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

  #goOnFrom({ chain, graphRevision, state }: CarriedState): void {
    const { behavior, stateSince, stream } = this.#options;
    this.chain = chain;
    if (state === undefined || graphRevision < stateSince) return;
    const { restore, stateVersion = 1 } = behavior;
    if (restore === undefined || state.version !== stateVersion) {
      const message = `a prune carried state of version ${state.version} of ${stream}; this code knows ${stateVersion}`;
      throw engineError("NODE-STATE", message, { place: { stream } });
    }
    restore(state.value);
    this.#follow();
  }

  /** The newest one of before `end`, of the node or of a fold. */
  #snapshot(end: number): Snapshot | undefined {
    const { snapshots, stream, behavior, codeVersion, stateSince, leavesSnapshots = false } = this.#options;
    const wanted = { stateVersion: behavior.stateVersion ?? 1, stateSince, end };
    const taken = snapshots?.read(stream, { ...wanted, codeVersion });
    if (!leavesSnapshots) return taken;
    const left = snapshots?.read(stream, { ...wanted, codeVersion: folded(codeVersion) });
    return (left?.chain.revision ?? -1) > (taken?.chain.revision ?? -1) ? left : taken;
  }

  /** Where more was folded since the last one than a snapshot takes. */
  #leaveSnapshot({ type, position, payload, context }: RecordedEvent): Promise<void> | undefined {
    const { snapshots, stream, behavior, codeVersion, leavesSnapshots = false } = this.#options;
    if (!leavesSnapshots || type !== STEP || snapshots === undefined || behavior.snapshot === undefined) return;
    this.#steps++;
    this.#stepBytes += payload.length;
    if (this.#steps < snapshots.everySteps || this.#stepBytes < this.#snapshotBytes) return;
    const { stateVersion = 1 } = behavior;
    const of = { codeVersion: folded(codeVersion), stateVersion, graphRevision: context.graphRevision };
    const taken = SnapshotStore.take(of, this.chain, behavior.snapshot());
    this.#snapshotBytes = taken.body.length;
    if (this.#stepBytes < this.#snapshotBytes) return;
    const stepBytes = this.#stepBytes;
    this.#steps = 0;
    this.#stepBytes = 0;
    // Without it the next fold is slower, and nothing else.
    return snapshots.write(stream, position, taken, stepBytes).catch(() => undefined);
  }

  #follow(): void {
    this.#hasState = true;
    const { behavior } = this.#options;
    if (this.chain.watermark > Number.NEGATIVE_INFINITY) behavior.foldWatermark?.(this.chain.watermark);
    behavior.seal();
  }
}

/** What a prune carried of a node's stream. @throws NODE-STATE */
export async function carriedState(log: Pick<EventLog, "carried">, stream: string): Promise<CarriedState | undefined> {
  const bytes = (await log.carried?.(stream))?.state;
  if (bytes === undefined) return undefined;
  const carried = decodeCarriedState(bytes);
  if (carried !== undefined) return carried;
  throw engineError("NODE-STATE", `what a prune carried of ${stream} is in a format that this code does not know`, {
    place: { stream },
  });
}
