/** A source over a {@link Feed}: at most once into the log, exactly once from there. What is shed is counted in the steps. */
import {
  type CommittedBehavior,
  type CommittedContext,
  type ConnectionStatus,
  type Draft,
  type Feed,
  type Json,
  RowBatch,
} from "@millrace/engine";

export interface FeedSourceOptions {
  /** Most messages that may wait to be committed; more are shed. Default 65 536. */
  readonly waitingMax?: number;
}

const WAITING_MAX = 65_536;

export function feedSource(feed: Feed, { waitingMax = WAITING_MAX }: FeedSourceOptions = {}): CommittedBehavior {
  let waiting: Json[] = [];
  /** Messages lost since the last step, by reason. */
  let lost = new Map<string, number>();
  let isCommitting = false;
  const commit = async (context: CommittedContext): Promise<void> => {
    isCommitting = true;
    while ((waiting.length > 0 || lost.size > 0) && !context.signal.aborted) {
      const rows = waiting;
      const shed = lost;
      waiting = [];
      lost = new Map();
      // A step that is refused ends the incarnation: its messages are lost with it, as the feed's own are.
      await context.request((draft) => draw(draft, rows, shed)).catch(() => undefined);
    }
    isCommitting = false;
  };
  return {
    kind: "committed",
    ports: ["out"],
    connection: (): ConnectionStatus => feed.connection(),
    open(context) {
      const lose = (count: number, reason: string): void => {
        lost.set(reason, (lost.get(reason) ?? 0) + count);
        if (!isCommitting) void commit(context);
      };
      const take = (message: Json): void => {
        if (waiting.length < waitingMax) waiting.push(message);
        else lose(1, "came faster than it could be committed");
        if (!isCommitting) void commit(context);
      };
      void feed.run(take, lose, context.signal);
    },
    take() {},
    seal() {},
    discard() {},
    fold() {},
  };
}

function draw(draft: Draft, rows: readonly Json[], lost: ReadonlyMap<string, number>): void {
  if (rows.length > 0) draft.emit("out", new RowBatch(rows));
  for (const [reason, count] of lost) draft.drop(count, reason);
}
