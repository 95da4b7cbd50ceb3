/**
 * Snapshots: disposable caches of a folded stream, so that recovery reads only the tail. Keyed by log and code version; one
 * that does not match is ignored, never migrated.
 */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import type { OrderedStore } from "../store/ordered-store.ts";
import { type PackedChain, packChain, unpackChain } from "./packed-chain.ts";
import type { StepChain } from "./step-chain.ts";

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
    return { codeVersion, stateVersion, body: packState([...packChain(chain), state]) };
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
    const [head, lanes, seqs, state] = unpackState(body) as unknown as [...PackedChain, StateEvent];
    return { chain: unpackChain([head, lanes, seqs]), state };
  }
}

type PackedSnapshot = [string, string, number, number, Uint8Array];
