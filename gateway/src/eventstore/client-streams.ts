/**
 * What is known of the streams of a log that clients write, and their turns: one per log, whoever they come through, so that an append
 * over REST and a delete over gRPC see each other.
 */
import type { EventLog } from "@millrace/engine";
import { isGroupState } from "./groups.ts";
import { isProjectionState } from "./projection-definition.ts";
import { StreamStates } from "./stream-states.ts";
import { Turnstile } from "./turnstile.ts";
import { isVirtual } from "./virtual-streams.ts";

export interface ClientStreams {
  readonly states: StreamStates;
  readonly turnstile: Turnstile;
}

const known = new WeakMap<EventLog, ClientStreams>();

export function clientStreams(log: EventLog): ClientStreams {
  const found = known.get(log) ?? { states: new StreamStates(log), turnstile: new Turnstile() };
  known.set(log, found);
  return found;
}

/** True for streams that the endpoint itself writes, or nobody. */
export function isOwnStream(stream: string): boolean {
  return isGroupState(stream) || isProjectionState(stream) || isVirtual(stream);
}
