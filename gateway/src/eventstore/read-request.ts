/** `Streams/Read` asks for four things with one message: a stream or everything, some events or a subscription. */
import { eventStoreError } from "./errors.ts";
import { type NameFilter, readFilter } from "./name-filter.ts";
import { streamName } from "./stream-requests.ts";
import type { WireMessage } from "./wire-reader.ts";

/** A revision or position; or the first or last there is. */
export type Place = number | "start" | "end";

export interface ReadRequest {
  /** `undefined` means all streams. */
  readonly stream: string | undefined;
  readonly from: Place;
  readonly isBackward: boolean;
  readonly resolveLinks: boolean;
  /** Most events; `undefined` asks for a subscription. */
  readonly count: number | undefined;
  readonly filter: NameFilter | undefined;
  readonly structuredIds: boolean;
}

/** @throws EVENTSTORE-INVALID */
export function readRequest(options: WireMessage): ReadRequest {
  const isSubscription = options.has(6);
  const isStream = options.has(1);
  const isBackward = options.int32(3) === 1;
  if (!isStream && !options.has(2))
    throw eventStoreError("EVENTSTORE-INVALID", "neither a stream nor all are asked for");
  if (isSubscription && isBackward) throw eventStoreError("EVENTSTORE-INVALID", "a subscription does not go backwards");
  const target = options.message(isStream ? 1 : 2);
  const stream = isStream ? streamName(target.message(1)) : undefined;
  if (stream === "") throw eventStoreError("EVENTSTORE-INVALID", "the stream has no name");
  return {
    stream,
    from: isStream ? streamPlace(target) : allPlace(target),
    isBackward,
    resolveLinks: options.bool(4),
    count: isSubscription ? undefined : options.uint(5),
    filter: options.has(7) && !isStream ? readFilter(options.message(7)) : undefined,
    structuredIds: !options.has(9) || options.message(9).has(1),
  };
}

export function streamPlace(options: WireMessage): Place {
  if (options.has(2)) return options.uint(2);
  return options.has(4) ? "end" : "start";
}

export function allPlace(options: WireMessage): Place {
  if (options.has(1)) return options.message(1).uint(1);
  return options.has(3) ? "end" : "start";
}
