/** The log for somebody who may leave before all of a long stream is read. */
import type { EventLog, ReadOptions, RecordedEvent } from "@millrace/engine";

/** The same log, whose reads of streams throw the signal's reason when it aborts. */
export function askedLog(log: EventLog, signal: AbortSignal): EventLog {
  const readStream: EventLog["readStream"] = (stream, options) => whileAsked(log, stream, options, signal);
  return new Proxy(log, {
    get(target, name) {
      if (name === "readStream") return readStream;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function* whileAsked(
  log: EventLog,
  stream: string,
  options: ReadOptions | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly RecordedEvent[]> {
  signal.throwIfAborted();
  for await (const batch of log.readStream(stream, options)) {
    yield batch;
    signal.throwIfAborted();
  }
}
