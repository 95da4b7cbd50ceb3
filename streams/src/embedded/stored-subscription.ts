/** The log's records as they are stored, followed as a subscription follows its events. */
import type { StoredBatch } from "@millrace/engine";
import { type SubscriptionSource, wokenOrAborted } from "./subscription.ts";

/** Catch-up, then live. Nothing is kept for a slow consumer: it reads from the files when it comes back. */
export async function* followStored(
  source: SubscriptionSource,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<StoredBatch> {
  let at = from;
  while (!signal.aborted && source.isOpen()) {
    for await (const batch of source.reader.stored(at, source.durableEnd)) {
      if (signal.aborted) return;
      at = batch.end;
      yield batch;
    }
    if (at >= source.durableEnd) await wokenOrAborted(source.commits, signal);
  }
}
