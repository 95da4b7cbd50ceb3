/** Reads a partition as a source does, with one fetch ahead. Returns how to stop that. */
const FETCH = { bytesMax: 1024 * 1024, waitMs: 250 };

export function readAhead(from, take, fetch) {
  let isStopped = false;
  const run = async () => {
    for (let ahead = fetch(from, FETCH); !isStopped; ) {
      const { records, next } = await ahead;
      if (isStopped) return;
      ahead = fetch(next, FETCH);
      // It fails when it is asked for.
      ahead.catch(() => undefined);
      for (const record of records) take(record);
    }
  };
  const running = run();
  return () => {
    isStopped = true;
    return running;
  };
}
