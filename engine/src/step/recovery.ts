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
import type { EventContext, EventLog } from "../log/event-log.ts";
import { newestFirst } from "../log/kept-events.ts";
import { type Env, sleep } from "../time/clock.ts";
import type { LaneCursor } from "./lane-cursor.ts";
import type { Output } from "./outbox.ts";
import type { SnapshotStore } from "./snapshot-store.ts";
import type { StepChain } from "./step-chain.ts";
import { type Emitted, encodeOwned, OWNED, OWNED_SCHEMA, STEP, stepOf } from "./step-record.ts";
import { StreamFold } from "./stream-fold.ts";

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
  const folding = new StreamFold({ ...options, codeVersion: options.context.codeVersion });
  await folding.restore();
  for (let attempt = 0; attempt < OWN_ATTEMPTS_MAX; attempt++) {
    await foldRest(folding);
    recoverLanes(options.lanes, folding.chain);
    const position = await own(options, folding.chain);
    if (position !== undefined) return { chain: folding.chain, epoch: folding.chain.epoch, position };
    // What refused the append may still be on its way to the disk, and cannot be read yet.
    await sleep(options.env, Math.min(OWN_WAIT_MAX_MS, 2 ** attempt));
  }
  throw engineError("NODE-FENCED", `other owners keep writing ${options.stream}`, {
    place: { stream: options.stream },
  });
}

/**
 * Output of one port above `after`, oldest first: what must be kept to be sent again. A prune takes none of it ({@link neededOutput}); if
 * some were gone, the receiver's request for it would be an EDGE-GAP.
 */
export async function unacknowledged(log: EventLog, stream: string, port: string, after: Point): Promise<Output[]> {
  const output: Output[] = [];
  for await (const event of newestFirst(log, stream, { types: [STEP] })) {
    const { emitted, out } = stepOf(event);
    const onPort = emitted.filter((e) => e.port === port);
    for (let i = onPort.length - 1; i >= 0; i--) {
      const e = onPort[i] as Emitted;
      if (comparePoints(wholly(e.firstSeq + e.count - 1), after) <= 0) return output.reverse();
      output.push({
        firstSeq: e.firstSeq,
        batch: decodeBatch(e.batch),
        late: e.late,
        ...out,
        exact: i === onPort.length - 1,
      });
    }
  }
  return output.reverse();
}

/** A prune may overtake the fold: then it has carried what is missing. */
async function foldRest(folding: StreamFold): Promise<void> {
  try {
    await folding.foldTail();
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "LOG-PRUNED") throw error;
    await folding.restore();
    await folding.foldTail();
  }
}

function recoverLanes(lanes: readonly LaneCursor[], chain: StepChain): void {
  for (const lane of lanes) {
    const known = chain.lanes.get(lane.name);
    if (known !== undefined) lane.recover(known.cursor, known.progress);
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
  const event = {
    id,
    type: OWNED,
    schemaVersion: OWNED_SCHEMA,
    context,
    payload: encodeOwned({ epoch, host: options.host }),
  };
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
