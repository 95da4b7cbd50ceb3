/** What a stream has received since the last look, several items at once: iterating it would cost a turn per item. */
import type { Readable } from "node:stream";

/** Ends when the stream ends or `signal` aborts. Takes no more from the stream than its buffer while nobody asks. @throws what the stream fails with */
export async function* arrivals<T>(stream: Readable, signal: AbortSignal): AsyncGenerator<readonly T[]> {
  let wake: () => void = () => {};
  let failure: Error | undefined;
  let isOver = false;
  const onChange = (): void => wake();
  const onEnd = (): void => {
    isOver = true;
    wake();
  };
  const onError = (error: Error): void => {
    failure ??= error;
    wake();
  };
  stream.on("readable", onChange).on("end", onEnd).on("close", onEnd).on("error", onError);
  signal.addEventListener("abort", onChange);
  try {
    while (!signal.aborted) {
      const items = taken<T>(stream);
      if (items.length > 0) yield items;
      else if (failure !== undefined) throw failure;
      else if (isOver) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    // The error listener stays: a stream that is given up may fail still, and nobody wants to know.
    stream.off("readable", onChange).off("end", onEnd).off("close", onEnd);
    signal.removeEventListener("abort", onChange);
  }
}

function taken<T>(stream: Readable): T[] {
  const items: T[] = [];
  for (let item: T | null = stream.read(); item !== null; item = stream.read()) items.push(item);
  return items;
}
