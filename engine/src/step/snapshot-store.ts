/**
 * Snapshots: disposable caches of a folded stream, so that recovery reads only the tail. Keyed by log and code version; one
 * that does not match is ignored, never migrated.
 */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import type { Mark } from "../frame/frame.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import type { OrderedStore } from "../store/ordered-store.ts";
import { StepChain } from "./step-chain.ts";

const TABLE = "snapshots";
const EVERY_STEPS = 4096;

export interface Snapshot {
  readonly chain: StepChain;
  readonly state: StateEvent;
}

export interface TakenSnapshot {
  readonly codeVersion: string;
  readonly stateVersion: number;
  readonly body: Uint8Array;
}

export class SnapshotStore {
  /** Steps of a stream between two snapshots. */
  readonly everySteps: number;
  readonly #store: OrderedStore;
  readonly #logId: string;
  readonly #durableEnd: () => number;

  /** `durableEnd`: a snapshot that is not below it would show what the log may lose, and is ignored. */
  constructor(store: OrderedStore, logId: string, durableEnd: () => number, everySteps: number = EVERY_STEPS) {
    this.everySteps = everySteps;
    this.#store = store;
    this.#logId = logId;
    this.#durableEnd = durableEnd;
  }

  /** The chain and state of this moment, encoded; {@link write} it when its last step is durable. */
  static take(codeVersion: string, stateVersion: number, chain: StepChain, state: StateEvent): TakenSnapshot {
    const lanes = [...chain.lanes.values()].map((l) => {
      const { watermark, idle, mark, anchor } = l.progress;
      return [
        l.number,
        l.name,
        l.cursor.pos,
        l.cursor.ord,
        watermark,
        idle,
        mark === null ? null : [mark.epoch, mark.n],
        anchor.pos,
        anchor.watermark,
      ];
    });
    const head = [
      chain.revision,
      chain.epoch,
      chain.at,
      chain.steps,
      chain.out.watermark,
      chain.out.idle,
      chain.watermark,
    ];
    return { codeVersion, stateVersion, body: packState([head, lanes as StateEvent, [...chain.nextSeq], state]) };
  }

  /** `position`: of the last step that the snapshot contains. */
  async write(stream: string, position: number, taken: TakenSnapshot): Promise<void> {
    const value = packState([this.#logId, taken.codeVersion, taken.stateVersion, position, taken.body]);
    await this.#store.transact((tx) => tx.put(TABLE, new TextEncoder().encode(stream), value));
  }

  read(stream: string, codeVersion: string, stateVersion: number): Snapshot | undefined {
    const bytes = this.#store.get(TABLE, new TextEncoder().encode(stream));
    if (bytes === undefined) return undefined;
    // Written by `write` above; the store checks nothing, so the first fields are compared before the rest is believed.
    const [logId, code, version, position, body] = unpackState(bytes) as unknown as PackedSnapshot;
    if (logId !== this.#logId || code !== codeVersion || version !== stateVersion || position >= this.#durableEnd())
      return undefined;
    const [head, lanes, seqs, state] = unpackState(body) as unknown as PackedBody;
    const chain = new StepChain();
    [chain.revision, chain.epoch, chain.at, chain.steps] = head;
    chain.out = { watermark: head[4], idle: head[5] };
    chain.watermark = head[6];
    for (const [number, name, pos, ord, watermark, idle, mark, anchorPos, anchorWatermark] of lanes) {
      const lane = chain.open({ lane: number, name });
      lane.cursor = { pos, ord };
      lane.progress = { watermark, idle, mark: markOf(mark), anchor: { pos: anchorPos, watermark: anchorWatermark } };
    }
    for (const [port, next] of seqs) chain.nextSeq.set(port, next);
    return { chain, state };
  }
}

function markOf(packed: readonly [number, number] | null): Mark | null {
  return packed === null ? null : { epoch: packed[0], n: packed[1] };
}

type PackedLane = [number, string, number, number, number, boolean, [number, number] | null, number, number];
type PackedBody = [
  [number, number, number, number, number, boolean, number],
  PackedLane[],
  [string, number][],
  StateEvent,
];
type PackedSnapshot = [string, string, number, number, Uint8Array];
