/**
 * What a prune carries of a node: the fold of the steps that went. Unlike a snapshot it is no cache, since the steps are gone; so it is
 * used under every later revision of the graph that has the same definition of the node, and one that cannot be read is an error.
 */
import type { StateEvent } from "../behavior/committed-behavior.ts";
import { packState, unpackState } from "../log/packed-payload.ts";
import { type PackedChain, packChain, unpackChain } from "./packed-chain.ts";
import type { StepChain } from "./step-chain.ts";

export interface CarriedState {
  readonly chain: StepChain;
  /** Of the graph when it was folded: state of an older definition of the node means nothing to a newer one. */
  readonly graphRevision: number;
  /** `undefined`: the node had none under that definition. */
  readonly state: { readonly version: number; readonly value: StateEvent } | undefined;
}

const FORMAT = 1;

export function encodeCarriedState({ chain, graphRevision, state }: CarriedState): Uint8Array {
  const packed = state === undefined ? [] : [[state.version, state.value] as const];
  return packState([FORMAT, graphRevision, packed, ...packChain(chain)]);
}

/** What {@link encodeCarriedState} made; `undefined`: another format. */
export function decodeCarriedState(bytes: Uint8Array): CarriedState | undefined {
  // Written above and kept by the log under a checksum.
  const [format, graphRevision, packed, ...chain] = unpackState(bytes) as unknown as Packed;
  if (format !== FORMAT) return undefined;
  const [state] = packed;
  return {
    chain: unpackChain(chain),
    graphRevision,
    state: state === undefined ? undefined : { version: state[0], value: state[1] },
  };
}

type Packed = [number, number, readonly (readonly [number, StateEvent])[], ...PackedChain];
