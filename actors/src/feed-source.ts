/**
 * A source over a {@link Feed}. What the feed can be told about is told once it is durable; what it sends again after that is known by
 * its id; where it goes on is committed with what it brought, or with the last of it, where that is more than one step takes. Everything
 * else is at most once into the log, and what of it is shed is counted in the steps.
 */
import type {
  CommittedBehavior,
  CommittedContext,
  ConnectionState,
  ConnectionStatus,
  Draft,
  Feed,
  FeedIntake,
  FeedItem,
  Json,
  StateEvent,
} from "@millrace/engine";
import { DurableParts, type GroupPart } from "./durable-parts.ts";
import { type TakenChange, TakenItems, type TakenTimeOptions } from "./taken-items.ts";
import { isTooLarge } from "./too-large.ts";

export interface FeedSourceOptions {
  /** Most messages that may wait to be committed; more are shed, unless the feed waits for their receipts. Default 65 536. */
  readonly waitingMax?: number;
  /** How many ids of past messages are remembered, the newest. Default 10 000. */
  readonly idsMax?: number;
  /** Absent: messages have no event time. */
  readonly eventTime?: TakenTimeOptions | undefined;
}

interface Waiting {
  readonly items: readonly FeedItem[];
  readonly cursor?: Json;
  readonly settle?: (() => void) | undefined;
  /** Of a part of a group, where in it its items begin. Absent: it is all of it. */
  readonly from?: number;
  /** Of a part behind which the rest of the group follows: what it is known by. */
  readonly part?: string;
}

/** What was taken, and where the feed is, if it says so. */
interface Change extends TakenChange {
  readonly cursor?: Json;
  /** Durable parts of the group whose last part is not durable. */
  readonly parts?: readonly string[];
}

const WAITING_MAX = 65_536;
/** Nothing can come over such a connection, so that nothing coming says nothing. */
const UNREACHABLE: ReadonlySet<ConnectionState> = new Set(["connecting", "backing-off", "suspended"]);
const NONE_SHED: ReadonlyMap<string, number> = new Map();

export function feedSource(
  feed: Feed,
  { waitingMax = WAITING_MAX, idsMax, eventTime }: FeedSourceOptions = {},
): CommittedBehavior {
  const taken = new TakenItems("feed", { idsMax, eventTime });
  let cursor: Json | undefined;
  /** Of the step in the making. */
  let cursorNow: Json | undefined;
  const durable = new DurableParts();
  let partsNow: readonly string[] = [];
  let waiting: Waiting[] = [];
  /** Messages lost since the last step, by reason. */
  let lost = new Map<string, number>();
  let isCommitting = false;
  /** The end is in the step in the making, and in a sealed one. */
  let endsNow = false;
  let hasEnded = false;

  const isSplit = (group: Waiting): boolean => durable.isSplit(partOf(group));
  const draw = (draft: Draft, groups: readonly Waiting[], shed: ReadonlyMap<string, number>): void => {
    taken.discard();
    taken.take(
      draft,
      groups.flatMap(({ items }) => items),
    );
    cursorNow = groups.findLast((group) => group.cursor !== undefined)?.cursor;
    partsNow = groups.flatMap(({ part }) => part ?? []);
    for (const [reason, count] of shed) draft.drop(count, reason);
    if (taken.hasChanged || cursorNow !== undefined || partsNow.length > 0)
      draft.change({ ...taken.change, ...placeIn(cursorNow, partsNow) });
  };
  /** Together if the log takes it so, or else in parts; what is too large by itself becomes a dead letter without its content. */
  const land = async (
    context: CommittedContext,
    groups: readonly Waiting[],
    shed: ReadonlyMap<string, number>,
  ): Promise<void> => {
    let less = groups.some(isSplit) ? lessOf(groups, undefined) : undefined;
    try {
      if (less === undefined) {
        await context.request((draft) => draw(draft, groups, shed));
        for (const { settle } of groups) settle?.();
      }
    } catch (error) {
      // Any other refusal ends the incarnation: what it held is sent again by a feed that waits, and lost by any other.
      if (!isTooLarge(error)) return;
      less = lessOf(groups, error);
    }
    const rest = (less ?? []).filter(([group]) => group?.part === undefined || !durable.has(group.part));
    for (const [i, part] of rest.entries()) await land(context, part, i === 0 ? shed : NONE_SHED);
  };
  const commit = async (context: CommittedContext): Promise<void> => {
    isCommitting = true;
    while ((waiting.length > 0 || lost.size > 0) && !context.signal.aborted) {
      const groups = waiting;
      const shed = lost;
      waiting = [];
      lost = new Map();
      await land(context, groups, shed);
    }
    isCommitting = false;
  };
  const went = (to: Json | undefined, parts: readonly string[] = []): void => {
    if (to !== undefined) durable.clear();
    cursor = to ?? cursor;
    durable.add(parts);
  };
  const isReachable = (): boolean => !UNREACHABLE.has(feed.connection().state);
  const intakeOf = (context: CommittedContext): FeedIntake => {
    const wait = (group: Waiting): void => {
      const isKept = group.settle !== undefined || group.cursor !== undefined || waiting.length < waitingMax;
      if (isKept) waiting.push(group);
      else lose(1, "came faster than it could be committed");
      if (!isCommitting) void commit(context);
    };
    const lose = (count: number, reason: string): void => {
      lost.set(reason, (lost.get(reason) ?? 0) + count);
      if (!isCommitting) void commit(context);
    };
    return {
      cursor,
      take: (message, { id, settle } = {}) => wait({ items: [{ message, id }], settle }),
      takeGroup: wait,
      reject: (error, message, { id, settle } = {}) => wait({ items: [{ message, id, error }], settle }),
      lose,
    };
  };
  const end = (context: CommittedContext): Promise<unknown> =>
    context.request((draft) => {
      draft.advanceOutput(Number.POSITIVE_INFINITY);
      endsNow = true;
    });
  return {
    kind: "committed",
    ports: ["out"],
    hasEnded: () => hasEnded,
    connection: (): ConnectionStatus => feed.connection(),
    open(context) {
      taken.open(context, () => !isCommitting && isReachable());
      feed.run(intakeOf(context), context.signal).then(
        // A step that is refused belongs to an incarnation that has ended, and the next one comes to the end again.
        () => (context.signal.aborted ? undefined : end(context).catch(() => undefined)),
        (error: unknown) => (context.signal.aborted ? undefined : context.fail(error)),
      );
    },
    take() {},
    seal() {
      taken.seal();
      hasEnded ||= endsNow;
      endsNow = false;
      went(cursorNow, partsNow);
      cursorNow = undefined;
      partsNow = [];
    },
    discard() {
      taken.discard();
      endsNow = false;
      cursorNow = undefined;
      partsNow = [];
    },
    fold(event) {
      const change = event as unknown as Change;
      taken.fold(change);
      went(change.cursor, change.parts);
    },
    snapshot: (): StateEvent => ({ ...taken.snapshot(), ...placeIn(cursor, durable.names) }),
    restore(snapshot) {
      const change = snapshot as unknown as Change;
      taken.restore(change);
      cursor = undefined;
      durable.clear();
      went(change.cursor, change.parts);
    },
  };
}

/** A cursor is JSON, which state can say. */
function placeIn(
  cursor: Json | undefined,
  parts: readonly string[],
): { readonly cursor?: StateEvent; readonly parts?: readonly string[] } {
  return {
    ...(cursor === undefined ? {} : { cursor: cursor as StateEvent }),
    ...(parts.length === 0 ? {} : { parts }),
  };
}

const partOf = ({ from = 0, items }: Waiting): GroupPart => ({ from, items });

/** What to try in place of groups that are too large together: halves, down to one message, which is rejected without its content. */
function lessOf(groups: readonly Waiting[], error: unknown): readonly (readonly Waiting[])[] {
  const half = groups.length >> 1;
  if (half > 0) return [groups.slice(0, half), groups.slice(half)];
  const [group] = groups;
  const [item] = group?.items ?? [];
  if (group === undefined || item === undefined) return [];
  const middle = group.items.length >> 1;
  // The place behind a group is durable with the last of it.
  if (middle > 0) return [[partBefore(group, middle)], [partBehind(group, middle)]];
  return "error" in item ? [] : [[{ ...group, items: [{ ...item, message: null, error }] }]];
}

function partBefore({ items, from = 0 }: Waiting, middle: number): Waiting {
  const part = { items: items.slice(0, middle), from };
  return { ...part, part: DurableParts.nameOf(part) };
}

/** It goes with what its group goes with; a part of a part has a name of its own. */
function partBehind(group: Waiting, middle: number): Waiting {
  const part = { items: group.items.slice(middle), from: (group.from ?? 0) + middle };
  return { ...group, ...part, ...(group.part === undefined ? {} : { part: DurableParts.nameOf(part) }) };
}
