/**
 * Snapshots: disposable caches of a folded stream, so that recovery reads only the tail, and a look at the past only what follows the
 * snapshot before it. Keyed by log, code version and position; one that does not match is ignored, never migrated.
 *
 * The newest one of a stream is always kept. An older one stays if the steps between it and the one that stays before it take at least as
 * much room as it does: so the snapshots of a stream are never larger than its steps, and a long log has them as close as a short one.
 */
import { createHash } from "node:crypto";
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import type { OrderedStore, OrderedWriter } from "../store/ordered-store.ts";
import { type PackedChain, packChain, unpackChain } from "./packed-chain.ts";
import type { StepChain } from "./step-chain.ts";

const TABLE = "snapshots";
const EVERY_STEPS = 4096;
/** Of a hash, in a key. */
const HASH_BYTES = 8;
const POSITION_BYTES = 8;

export interface Snapshot {
  readonly chain: StepChain;
  readonly state: StateEvent;
}

/** What made a state, and what shape it has. */
export interface SnapshotVersion {
  readonly codeVersion: string;
  readonly stateVersion: number;
}

export interface TakenSnapshot extends SnapshotVersion {
  readonly graphRevision: number;
  readonly body: Uint8Array;
}

export interface WantedSnapshot extends SnapshotVersion {
  /** Position that it must be of the time before; default: any that is durable. */
  readonly end?: number;
  /** First graph revision whose state counts: the same code may be deployed again after another. */
  readonly stateSince: number;
}

export interface SnapshotLog {
  readonly id: string;
  /** A snapshot that is not below it would show what the log may lose, and is ignored. */
  readonly durableEnd: number;
  /** What a prune left nothing of needs no snapshots. Default 0. */
  readonly base?: number;
}

export class SnapshotStore {
  /** Steps of a stream between two snapshots. */
  readonly everySteps: number;
  readonly #store: OrderedStore;
  readonly #log: SnapshotLog;

  constructor(store: OrderedStore, log: SnapshotLog, everySteps: number = EVERY_STEPS) {
    this.everySteps = everySteps;
    this.#store = store;
    this.#log = log;
  }

  /** The chain and state of this moment, encoded; {@link write} it when its last step is durable. */
  static take(of: Omit<TakenSnapshot, "body">, chain: StepChain, state: StateEvent): TakenSnapshot {
    return { ...of, body: packState([...packChain(chain), state]) };
  }

  /**
   * @param position of the last step that the snapshot contains
   * @param stepBytes what the steps since the snapshot before it take, as far as that is known
   */
  async write(stream: string, position: number, taken: TakenSnapshot, stepBytes: number): Promise<void> {
    const own = this.#keysOf(stream, taken);
    await this.#store.transact((tx) => {
      this.#sweep(tx, stream);
      const value = packState([stepBytes + unearned(tx, own, position), taken.graphRevision, taken.body]);
      tx.put(TABLE, keyAt(own, position), value);
    });
  }

  /** The newest one. */
  read(stream: string, wanted: WantedSnapshot): Snapshot | undefined {
    const { end = Number.POSITIVE_INFINITY, stateSince } = wanted;
    const own = this.#keysOf(stream, wanted);
    const lt = keyAt(own, Math.min(end, this.#log.durableEnd));
    const [found] = this.#store.range(TABLE, { gte: own, lt, reverse: true, limit: 1 });
    if (found === undefined) return undefined;
    // Written by `write` above; the key says what it is of.
    const [, graphRevision, body] = unpackState(found.value) as unknown as PackedSnapshot;
    if (graphRevision < stateSince) return undefined;
    const [head, lanes, seqs, state] = unpackState(body) as unknown as [...PackedChain, StateEvent];
    return { chain: unpackChain([head, lanes, seqs]), state };
  }

  /** What all keys of the snapshots of one stream, log and version begin with. */
  #keysOf(stream: string, { codeVersion, stateVersion }: SnapshotVersion): Buffer {
    return Buffer.concat([this.#keysOfLog(stream), hashOf(`${stateVersion} ${codeVersion}`)]);
  }

  #keysOfLog(stream: string): Buffer {
    return Buffer.concat([keysOfStream(stream), hashOf(this.#log.id)]);
  }

  /** Of another log none are needed, of this one those below its first position are not. */
  #sweep(tx: OrderedWriter, stream: string): void {
    const ofLog = this.#keysOfLog(stream);
    const all = keysOfStream(stream);
    tx.deleteRange(TABLE, { gte: all, lt: ofLog });
    tx.deleteRange(TABLE, { gte: behind(ofLog), lt: behind(all) });
    const { base = 0 } = this.#log;
    if (base === 0) return;
    for (const version of versionsOf(tx, ofLog)) tx.deleteRange(TABLE, { gte: version, lt: keyAt(version, base) });
  }
}

/** Bytes of steps, graph revision, body. */
type PackedSnapshot = [number, number, Uint8Array];

/** What the keys of each version that has snapshots begin with. */
function versionsOf(tx: OrderedWriter, ofLog: Buffer): readonly Buffer[] {
  const versions: Buffer[] = [];
  for (let from = ofLog; ; ) {
    const [first] = tx.range(TABLE, { gte: from, lt: behind(ofLog), limit: 1 });
    if (first === undefined) return versions;
    const version = Buffer.from(first.key.subarray(0, ofLog.length + HASH_BYTES));
    versions.push(version);
    from = behind(version);
  }
}

/** Removes the snapshot before the position unless it has earned its room, and says then what it had of it. */
function unearned(tx: OrderedWriter, own: Buffer, position: number): number {
  const [before] = tx.range(TABLE, { gte: own, lt: keyAt(own, position), reverse: true, limit: 1 });
  if (before === undefined) return 0;
  const [stepBytes, , body] = unpackState(before.value) as unknown as PackedSnapshot;
  if (stepBytes >= body.length) return 0;
  tx.delete(TABLE, before.key);
  return stepBytes;
}

/** No name of a stream has a NUL. */
function keysOfStream(stream: string): Buffer {
  return Buffer.from(`${stream}\0`, "utf8");
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest().subarray(0, HASH_BYTES);
}

function keyAt(own: Buffer, position: number): Buffer {
  const key = Buffer.alloc(own.length + POSITION_BYTES);
  own.copy(key);
  key.writeBigUInt64BE(BigInt(position), own.length);
  return key;
}

/** The first key after all that begin so. */
function behind(keys: Buffer): Buffer {
  return Buffer.concat([keys, Buffer.alloc(HASH_BYTES + HASH_BYTES + POSITION_BYTES + 1, 0xff)]);
}
