/**
 * A source over a {@link Feed}. What the feed can be told about is told once it is durable; what it sends again after that is known by
 * its id. Everything else is at most once into the log, and what of it is shed is counted in the steps.
 */
import {
  type CommittedBehavior,
  type CommittedContext,
  type ConnectionStatus,
  type Draft,
  type Feed,
  type FeedIntake,
  type FeedReceipt,
  type Json,
  Positions,
  RowBatch,
  type StateEvent,
} from "@millrace/engine";
import { RecentIds } from "./recent-ids.ts";
import { isTooLarge } from "./too-large.ts";

export interface FeedSourceOptions {
  /** Most messages that may wait to be committed; more are shed, unless the feed waits for their receipts. Default 65 536. */
  readonly waitingMax?: number;
  /** How many ids of past messages are remembered, the newest. Default 10 000. */
  readonly idsMax?: number;
}

interface Waiting {
  readonly message: Json;
  readonly receipt: FeedReceipt;
  /** Why it is no message. */
  readonly error?: unknown;
}

/** Ids that were new, and how many dead letters there are in all. */
interface Change {
  readonly ids: readonly string[];
  readonly rejected: number;
}

const WAITING_MAX = 65_536;
const NONE_SHED: ReadonlyMap<string, number> = new Map();
/** The lane that dead letters of a feed are counted in: nothing arrives on it. */
const LANE = "feed";

export function feedSource(
  feed: Feed,
  { waitingMax = WAITING_MAX, idsMax }: FeedSourceOptions = {},
): CommittedBehavior {
  const ids = new RecentIds(idsMax);
  let rejected = 0;
  /** Of the step in the making. */
  let rejectedNow = 0;
  let waiting: Waiting[] = [];
  /** Messages lost since the last step, by reason. */
  let lost = new Map<string, number>();
  let isCommitting = false;

  const draw = (draft: Draft, items: readonly Waiting[], shed: ReadonlyMap<string, number>): void => {
    ids.discard();
    const fresh = items.filter(({ receipt }) => ids.isFirst(receipt.id));
    const rows = fresh.filter((item) => !("error" in item)).map(({ message }) => message);
    const bad = fresh.filter((item) => "error" in item);
    if (rows.length > 0) draft.emit("out", new RowBatch(rows));
    rejectedNow = bad.length;
    if (bad.length > 0) {
      const batch = new RowBatch(bad.map(({ message }) => message));
      const slice = { lane: LANE, input: 0, batch, positions: Positions.dense(rejected, bad.length), late: [] };
      draft.reject(
        slice,
        bad.map(({ error }, index) => ({ index, error })),
      );
    }
    for (const [reason, count] of shed) draft.drop(count, reason);
    if (ids.fresh.length > 0 || bad.length > 0) draft.change({ ids: ids.fresh, rejected: rejected + bad.length });
  };
  /** Together if the log takes it so, or else in parts; what is too large by itself becomes a dead letter without its content. */
  const land = async (
    context: CommittedContext,
    items: readonly Waiting[],
    shed: ReadonlyMap<string, number>,
  ): Promise<void> => {
    try {
      await context.request((draft) => draw(draft, items, shed));
      for (const { receipt } of items) receipt.settle?.();
    } catch (error) {
      // Any other refusal ends the incarnation: what it held is sent again by a feed that waits, and lost by any other.
      if (!isTooLarge(error)) return;
      const half = items.length >> 1;
      if (half > 0) {
        await land(context, items.slice(0, half), shed);
        await land(context, items.slice(half), NONE_SHED);
      } else
        for (const item of items)
          if (!("error" in item)) await land(context, [{ ...item, message: null, error }], shed);
    }
  };
  const commit = async (context: CommittedContext): Promise<void> => {
    isCommitting = true;
    while ((waiting.length > 0 || lost.size > 0) && !context.signal.aborted) {
      const items = waiting;
      const shed = lost;
      waiting = [];
      lost = new Map();
      await land(context, items, shed);
    }
    isCommitting = false;
  };
  const intakeOf = (context: CommittedContext): FeedIntake => {
    const wait = (item: Waiting): void => {
      if (item.receipt.settle !== undefined || waiting.length < waitingMax) waiting.push(item);
      else lose(1, "came faster than it could be committed");
      if (!isCommitting) void commit(context);
    };
    const lose = (count: number, reason: string): void => {
      lost.set(reason, (lost.get(reason) ?? 0) + count);
      if (!isCommitting) void commit(context);
    };
    return {
      take: (message, receipt = {}) => wait({ message, receipt }),
      reject: (error, message, receipt = {}) => wait({ message, receipt, error }),
      lose,
    };
  };
  return {
    kind: "committed",
    ports: ["out"],
    connection: (): ConnectionStatus => feed.connection(),
    open(context) {
      void feed.run(intakeOf(context), context.signal);
    },
    take() {},
    seal() {
      ids.seal();
      rejected += rejectedNow;
      rejectedNow = 0;
    },
    discard() {
      ids.discard();
      rejectedNow = 0;
    },
    fold(event) {
      const change = event as unknown as Change;
      ids.remember(change.ids);
      rejected = change.rejected;
    },
    snapshot: (): StateEvent => ({ ids: ids.snapshot(), rejected }),
    restore(snapshot) {
      const change = snapshot as unknown as Change;
      ids.restore(change.ids);
      rejected = change.rejected;
    },
  };
}
