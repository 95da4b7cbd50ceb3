/**
 * How an actor takes over its stream: fold snapshot and tail, append `Owned{epoch}` at the exact head, and if somebody else
 * wrote meanwhile fold that too and try again (R26). After it the state in memory is what the log says, and an older owner's
 * append will be refused.
 */
import { createHash } from "node:crypto";
import type { CommittedBehavior } from "../behavior/committed-behavior.ts";
import { engineError, MillraceError } from "../errors.ts";
import { decodeBatch } from "../frame/batch-codec.ts";
import { comparePoints, type Point, wholly } from "../frame/point.ts";
import type { EventContext, EventLog, RecordedEvent } from "../log/event-log.ts";
import { type Env, sleep } from "../time/clock.ts";
import type { LaneCursor } from "./lane-cursor.ts";
import type { Output } from "./outbox.ts";
import type { SnapshotStore } from "./snapshot-store.ts";
import { StepChain } from "./step-chain.ts";
import { decodeOwned, decodeStep, type Emitted, encodeOwned, OWNED, STEP } from "./step-record.ts";

export interface RecoveryOptions {
  readonly env: Env;
  readonly log: EventLog;
  readonly stream: string;
  readonly host: string;
  readonly behavior: CommittedBehavior;
  /** Lanes of the node by the plan; those that the stream knows get their cursors from it. */
  readonly lanes: readonly LaneCursor[];
  readonly context: Omit<EventContext, "causationId" | "correlationId" | "epoch">;
  readonly snapshots: SnapshotStore | undefined;
  /** First graph revision whose state events the behavior understands; what came before counts for cursors only. */
  readonly stateSince: number;
}

export interface Recovered {
  readonly chain: StepChain;
  readonly epoch: number;
  /** Log position after `Owned`. */
  readonly position: number;
}

const OWN_ATTEMPTS_MAX = 16;
const OWN_WAIT_MAX_MS = 1000;

/** @throws NODE-FENCED when other owners keep writing; whatever reading and appending throw */
export async function takeOver(options: RecoveryOptions): Promise<Recovered> {
  const folding = new Folding(options);
  await folding.restore();
  for (let attempt = 0; attempt < OWN_ATTEMPTS_MAX; attempt++) {
    await folding.foldTail();
    const position = await own(options, folding.chain);
    if (position !== undefined) return { chain: folding.chain, epoch: folding.chain.epoch, position };
    // What refused the append may still be on its way to the disk, and cannot be read yet.
    await sleep(options.env, Math.min(OWN_WAIT_MAX_MS, 2 ** attempt));
  }
  throw engineError("NODE-FENCED", `other owners keep writing ${options.stream}`, {
    place: { stream: options.stream },
  });
}

/** Output of one port above `after`, oldest first: what must be kept to be sent again. */
export async function unacknowledged(log: EventLog, stream: string, port: string, after: Point): Promise<Output[]> {
  const output: Output[] = [];
  for await (const events of log.readStream(stream, { direction: "backward" })) {
    for (const event of events) {
      if (event.type !== STEP) continue;
      const { emitted, out } = decodeStep(event.payload);
      const onPort = emitted.filter((e) => e.port === port);
      for (let i = onPort.length - 1; i >= 0; i--) {
        const e = onPort[i] as Emitted;
        if (comparePoints(wholly(e.firstSeq + e.count - 1), after) <= 0) return output.reverse();
        output.push({ firstSeq: e.firstSeq, batch: decodeBatch(e.batch), ...out, exact: i === onPort.length - 1 });
      }
    }
  }
  return output.reverse();
}

class Folding {
  chain: StepChain = new StepChain();
  readonly #options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  async restore(): Promise<void> {
    const { snapshots, stream, behavior, context } = this.#options;
    const found =
      behavior.restore === undefined
        ? undefined
        : snapshots?.read(stream, context.codeVersion, behavior.stateVersion ?? 1);
    if (found === undefined) return;
    behavior.restore?.(found.state);
    this.chain = found.chain;
    this.#follow();
  }

  async foldTail(): Promise<void> {
    const { log, stream, lanes } = this.#options;
    for await (const events of log.readStream(stream, { from: this.chain.revision + 1 })) {
      for (const event of events) this.#fold(event);
    }
    for (const lane of lanes) {
      const known = this.chain.lanes.get(lane.name);
      if (known !== undefined) lane.recover(known.cursor, known.progress);
    }
    this.#follow();
  }

  #fold(event: RecordedEvent): void {
    this.chain.revision = event.revision;
    if (event.type === OWNED) this.chain.epoch = Math.max(this.chain.epoch, decodeOwned(event.payload).epoch);
    if (event.type !== STEP) return;
    const step = decodeStep(event.payload);
    this.chain.fold(step);
    // What an older definition of the node made of its state means nothing to this one.
    if (event.context.graphRevision < this.#options.stateSince) return;
    for (const change of step.state) this.#options.behavior.fold(change);
    this.#follow();
  }

  #follow(): void {
    const { behavior } = this.#options;
    if (this.chain.watermark > Number.NEGATIVE_INFINITY) behavior.foldWatermark?.(this.chain.watermark);
    behavior.seal();
  }
}

const MAYBE_GROWN = ["LOG-WRONG-REVISION", "LOG-UNKNOWN"];

/** The log position after `Owned`, or `undefined` when the stream has, or may have, grown meanwhile. */
async function own(options: RecoveryOptions, chain: StepChain): Promise<number | undefined> {
  const epoch = chain.epoch + 1;
  const id = new Uint8Array(
    createHash("sha256").update(`${options.stream}\nowned\n${epoch}\n${options.host}`).digest().subarray(0, 16),
  );
  const context = { ...options.context, epoch, causationId: id, correlationId: id };
  const event = { id, type: OWNED, schemaVersion: 1, context, payload: encodeOwned({ epoch, host: options.host }) };
  try {
    const result = await options.log.append([
      { stream: options.stream, expected: chain.revision < 0 ? "none" : chain.revision, events: [event] },
    ]);
    if (result.repeated) return undefined;
    chain.revision++;
    chain.epoch = epoch;
    return result.position + 1;
  } catch (error) {
    if (error instanceof MillraceError && MAYBE_GROWN.includes(error.code)) return undefined;
    throw error;
  }
}
