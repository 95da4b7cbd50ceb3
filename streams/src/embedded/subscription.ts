/**
 * Catch-up, then live: a subscription reads the log up to the durable end, then sleeps until a commit moves it. Nothing is buffered
 * for a slow consumer; it reads from the log when it comes back. It ends when its signal aborts or the log is closed.
 */
import type { SubscribeOptions, SubscriptionBatch } from "@millrace/engine";
import type { CommitSignal } from "./commit-signal.ts";
import type { LogReader } from "./log-reader.ts";

export interface SubscriptionSource {
  readonly reader: LogReader;
  readonly commits: CommitSignal;
  readonly durableEnd: number;
  /** False once the log was closed. @throws LOG-CLOSED when its writer stopped after a failed write */
  isOpen(): boolean;
}

export async function* subscription(
  source: SubscriptionSource,
  options: SubscribeOptions,
): AsyncGenerator<SubscriptionBatch> {
  const { signal, filter } = options;
  let at = options.from ?? 0;
  let told = false;
  while (!signal.aborted) {
    if (!source.isOpen()) return;
    const end = source.durableEnd;
    for await (const batch of source.reader.forward(at, end, filter)) {
      if (signal.aborted) return;
      at = batch.end;
      const live = at === source.durableEnd;
      if (batch.events.length === 0 && !live) continue;
      told = live;
      yield { events: batch.events, end: at, live };
      if (signal.aborted) return;
    }
    if (at < source.durableEnd) continue;
    if (told || at > source.durableEnd) {
      await wokenOrAborted(source.commits, signal);
      continue;
    }
    told = true;
    yield { events: [], end: at, live: true };
  }
}

/** Resolves with the next commit, or when the signal aborts. */
export function wokenOrAborted(commits: CommitSignal, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = (): void => {
      signal.removeEventListener("abort", wake);
      resolve();
    };
    signal.addEventListener("abort", wake, { once: true });
    void commits.next().then(wake);
  });
}
