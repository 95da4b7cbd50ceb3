/**
 * Takes rows that somebody pushes and that cannot be read again: they are first appended, then acknowledged. Pushes that wait
 * together are committed together, in the order in which they came.
 */
import {
  type CommittedBehavior,
  type CommittedContext,
  type Draft,
  type Json,
  RowBatch,
  type StateEvent,
} from "@millrace/engine";
import { actorError } from "./errors.ts";
import { RECENT_IDS_MAX, RecentIds } from "./recent-ids.ts";

export interface HttpPushOptions {
  /** Most rows that may wait to be committed; more are refused (`PUSH-FULL`). Default 65 536. */
  readonly waitingMax?: number;
  /** How many ids of past pushes are remembered, the newest. Default 10 000. */
  readonly idsMax?: number;
}

export interface AcceptOptions {
  /** The sender's own id of this push: a second push with it changes nothing, also after a restart. */
  readonly id?: string;
}

export interface HttpPush extends CommittedBehavior {
  /**
   * Appends and emits rows, and resolves with a log position at or behind them, once they are durable.
   *
   * @throws PUSH-CLOSED, PUSH-FULL (transient): nothing was taken
   */
  accept(rows: readonly Json[], options?: AcceptOptions): Promise<number>;
}

interface Push {
  readonly rows: readonly Json[];
  readonly id: string | undefined;
  readonly landed: (position: number) => void;
  readonly refused: (error: unknown) => void;
}

const WAITING_MAX = 65_536;
const FULL_RETRY_MS = 100;

export function httpPush({ waitingMax = WAITING_MAX, idsMax = RECENT_IDS_MAX }: HttpPushOptions = {}): HttpPush {
  const ids = new RecentIds(idsMax);
  let context: CommittedContext | undefined;
  let waiting: Push[] = [];
  let waitingRows = 0;
  let isCommitting = false;

  /** The new rows of `pushes`; a repeated id adds nothing. */
  const draw = (pushes: readonly Push[], draft: Draft): void => {
    const rows: Json[] = [];
    ids.discard();
    for (const push of pushes) {
      if (!ids.isFirst(push.id)) continue;
      for (const row of push.rows) rows.push(row);
    }
    if (rows.length > 0) draft.emit("out", new RowBatch(rows));
    if (ids.fresh.length > 0) draft.change(ids.fresh);
  };
  const commit = async (running: CommittedContext): Promise<void> => {
    isCommitting = true;
    while (waiting.length > 0) {
      const pushes = waiting;
      waiting = [];
      waitingRows = 0;
      try {
        const position = await running.request((draft) => draw(pushes, draft));
        for (const push of pushes) push.landed(position);
      } catch (error) {
        for (const push of pushes) push.refused(error);
      }
    }
    isCommitting = false;
  };
  return {
    kind: "committed",
    ports: ["out"],
    open(opened) {
      context = opened;
    },
    accept(rows, { id } = {}) {
      return new Promise((landed, refused) => {
        if (context === undefined || context.signal.aborted) {
          refused(actorError("PUSH-CLOSED", "the node is not running"));
        } else if (waitingRows + rows.length > waitingMax && waitingRows > 0) {
          refused(actorError("PUSH-FULL", `${waitingRows} rows wait to be committed`, { retryAfterMs: FULL_RETRY_MS }));
        } else {
          waiting.push({ rows, id, landed, refused });
          waitingRows += rows.length;
          if (!isCommitting) void commit(context);
        }
      });
    },
    take() {},
    seal: () => ids.seal(),
    discard: () => ids.discard(),
    fold: (event) => ids.remember(event as readonly string[]),
    snapshot: (): StateEvent => ids.snapshot(),
    restore: (snapshot) => ids.restore(snapshot as readonly string[]),
    close() {
      context = undefined;
      for (const push of waiting.splice(0)) push.refused(actorError("PUSH-CLOSED", "the node stopped"));
      waitingRows = 0;
    },
  };
}
