/**
 * What a prune has to carry of a stream of a graph, so that what is left of the stream is as good as the whole of it: the fold of a node's
 * steps, and of what is only ever looked up, such as how far a source may have sent, the newest.
 */
import type { RecordedEvent } from "../log/event-log.ts";
import {
  HORIZON,
  horizonOf,
  SOURCE_IDENTIFIED,
  SOURCE_MARKED,
  sourceIdentityOf,
  sourceMarkOf,
} from "../source/send-horizon.ts";
import { encodeCarriedState } from "../step/carried-state.ts";
import { LANES_HEARD } from "../step/heard-cursors.ts";
import type { StepChain } from "../step/step-chain.ts";
import { StreamFold, type StreamFoldOptions } from "../step/stream-fold.ts";

/** Handed to a log that prunes; see `CarriedStream`. */
export interface StreamCarry {
  readonly stream: string;
  /** Of the last event that goes. */
  readonly revision: number;
  /** Of the events that still count, ascending; some may have been carried before. */
  readonly positions: readonly number[];
  readonly state: Uint8Array | undefined;
}

export interface NodeCarryOptions extends Pick<StreamFoldOptions, "log" | "stream" | "behavior" | "stateSince"> {
  /** Revision of the graph that `behavior` is of: the one in force at `end`. */
  readonly graphRevision: number;
  /** What is below goes. */
  readonly end: number;
}

export interface NodeCarry extends StreamCarry {
  /** Of the node's steps below `end`. */
  readonly chain: StepChain;
}

/**
 * Of a stream of a graph's node, source or lanes. Folded from the log alone, never from a snapshot: what is carried is truth.
 *
 * @throws NODE-STATE, EVENT-SCHEMA, EVENT-PAYLOAD
 */
export async function carryNode(options: NodeCarryOptions): Promise<NodeCarry | undefined> {
  const fold = new StreamFold({ ...options, snapshots: undefined, codeVersion: "" });
  await fold.restore();
  const carry = await carryEvents(options, options.end, keyOf, (event) => fold.fold(event));
  if (carry === undefined) return undefined;
  const { chain } = fold;
  const isOwned = chain.epoch >= 0 || chain.steps > 0;
  const state = isOwned ? encodeCarriedState(fold.carry(options.graphRevision)) : undefined;
  return { ...carry, state, chain };
}

/**
 * Of a stream of which the newest event under each key counts.
 *
 * @param key under which an event is replaced by a later one; `undefined`: it does not count
 * @param each called with each event that was not carried before
 * @param from revision below which nobody asks for anything
 */
export async function carryEvents(
  { log, stream }: Pick<NodeCarryOptions, "log" | "stream">,
  end: number,
  key: (event: RecordedEvent) => string | undefined,
  each: (event: RecordedEvent) => void = () => undefined,
  from = 0,
): Promise<StreamCarry | undefined> {
  const carried = await log.carried?.(stream);
  const counting = new Map<string, number>();
  const count = (event: RecordedEvent): void => {
    const name = key(event);
    if (name === undefined) return;
    counting.delete(name);
    counting.set(name, event.position);
  };
  for (const event of carried?.events ?? []) count(event);
  let revision = Math.max(carried?.revision ?? -1, from - 1);
  reading: for await (const events of log.readStream(stream, { from: revision + 1 })) {
    for (const event of events) {
      if (event.position >= end) break reading;
      revision = event.revision;
      count(event);
      each(event);
    }
  }
  return revision < 0 ? undefined : { stream, revision, positions: [...counting.values()], state: undefined };
}

function keyOf(event: RecordedEvent): string | undefined {
  const { type } = event;
  switch (type) {
    case HORIZON:
      return `${type} ${horizonOf(event).partition}`;
    case SOURCE_IDENTIFIED:
      return `${type} ${sourceIdentityOf(event).partition}`;
    case SOURCE_MARKED: {
      const { partition, from } = sourceMarkOf(event);
      return `${type} ${from} ${partition}`;
    }
    case LANES_HEARD:
      return type;
    default:
      return undefined;
  }
}
