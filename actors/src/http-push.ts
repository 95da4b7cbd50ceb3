/**
 * Takes rows that somebody pushes and that cannot be read again: they are first appended, then acknowledged. Pushes that wait
 * together are committed together, in the order in which they came.
 */
import {
  approximateBytes,
  type CommittedBehavior,
  type CommittedContext,
  type Draft,
  type FeedItem,
  type Json,
  RowBatch,
  type StateEvent,
} from "@millrace/engine";
import { actorError } from "./errors.ts";
import { type TakenChange, TakenItems, type TakenTimeOptions } from "./taken-items.ts";
import { isTooLarge } from "./too-large.ts";

export interface HttpPushOptions {
  /** Most rows that may wait to be committed; more are refused (`PUSH-FULL`). Default 65 536. */
  readonly waitingMax?: number;
  /** Most bytes that they may take together, as estimated from a few rows; a push that waits alone may be larger. Default 64 MiB. */
  readonly waitingBytesMax?: number;
  /** How many ids of past pushes are remembered, the newest. Default 10 000. */
  readonly idsMax?: number;
  /** Absent: rows have no event time. */
  readonly eventTime?: TakenTimeOptions | undefined;
  /** Makes a message with an id of its own of what was pushed, or says why it is none. Default: as it is, without an id. */
  readonly read?: (pushed: Json) => FeedItem;
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
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
const FULL_RETRY_MS = 100;

export function httpPush({
  waitingMax = WAITING_MAX,
  waitingBytesMax = WAITING_BYTES_MAX,
  idsMax,
  eventTime,
  read = (message) => ({ message }),
}: HttpPushOptions = {}): HttpPush {
  const taken = new TakenItems("push", { idsMax, eventTime });
  let context: CommittedContext | undefined;
  let waiting: Push[] = [];
  let waitingRows = 0;
  let waitingBytes = 0;
  let isCommitting = false;

  /** The new rows of `pushes`; a repeated id adds nothing. */
  const draw = (pushes: readonly Push[], draft: Draft): void => {
    taken.discard();
    const fresh = pushes.filter(({ id }) => taken.isFirst(id));
    taken.take(
      draft,
      fresh.flatMap(({ rows }) => rows.map(read)),
    );
    if (taken.hasChanged) draft.change({ ...taken.change });
  };
  /** Together if the log takes them so, or else in parts: none is refused for what others sent. */
  const land = async (running: CommittedContext, pushes: readonly Push[]): Promise<void> => {
    try {
      const position = await running.request((draft) => draw(pushes, draft));
      for (const push of pushes) push.landed(position);
    } catch (error) {
      if (pushes.length > 1 && isTooLarge(error)) {
        const half = pushes.length >> 1;
        await land(running, pushes.slice(0, half));
        await land(running, pushes.slice(half));
      } else for (const push of pushes) push.refused(error);
    }
  };
  const commit = async (running: CommittedContext): Promise<void> => {
    isCommitting = true;
    while (waiting.length > 0) {
      const pushes = waiting;
      waiting = [];
      waitingRows = 0;
      waitingBytes = 0;
      await land(running, pushes);
    }
    isCommitting = false;
  };
  const isFull = (rows: number, bytes: number): boolean =>
    waitingRows > 0 && (waitingRows + rows > waitingMax || waitingBytes + bytes > waitingBytesMax);
  return {
    kind: "committed",
    ports: ["out"],
    open(opened) {
      context = opened;
      taken.open(opened, () => !isCommitting);
    },
    accept(rows, { id } = {}) {
      const bytes = approximateBytes(new RowBatch(rows));
      return new Promise((landed, refused) => {
        if (context === undefined || context.signal.aborted) {
          refused(actorError("PUSH-CLOSED", "the node is not running"));
        } else if (isFull(rows.length, bytes)) {
          refused(actorError("PUSH-FULL", `${waitingRows} rows wait to be committed`, { retryAfterMs: FULL_RETRY_MS }));
        } else {
          waiting.push({ rows, id, landed, refused });
          waitingRows += rows.length;
          waitingBytes += bytes;
          if (!isCommitting) void commit(context);
        }
      });
    },
    take() {},
    seal: () => taken.seal(),
    discard: () => taken.discard(),
    fold: (event) => taken.fold(event as unknown as TakenChange),
    snapshot: (): StateEvent => ({ ...taken.snapshot() }),
    restore: (snapshot) => taken.restore(snapshot as unknown as TakenChange),
    close() {
      context = undefined;
      for (const push of waiting.splice(0)) push.refused(actorError("PUSH-CLOSED", "the node stopped"));
      waitingRows = 0;
      waitingBytes = 0;
    },
  };
}
