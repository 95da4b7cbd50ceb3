/** The log's records as they are stored, followed as a subscription follows its events. */
import type { StoredBatch } from "@millrace/engine";
import { ChunkBuffers } from "./chunk-buffers.ts";
import { type SubscriptionSource, wokenOrAborted } from "./subscription.ts";

/** A follower's turns are what it costs the thread that appends, so there are few. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Catch-up, then live. Nothing is kept for a slow consumer: it reads from the files when it comes back. */
export async function* followStored(
  source: SubscriptionSource,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<StoredBatch> {
  const buffers = new ChunkBuffers(CHUNK_BYTES);
  let at = from;
  while (!signal.aborted && source.isOpen()) {
    for await (const batch of source.reader.stored(at, source.durableEnd, buffers)) {
      if (signal.aborted) return;
      at = batch.end;
      yield batch;
    }
    if (at >= source.durableEnd) await wokenOrAborted(source.commits, signal);
  }
}
