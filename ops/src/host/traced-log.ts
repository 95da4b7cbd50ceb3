/**
 * Spans around appends, for whoever registers an OpenTelemetry SDK; without one the API does nothing. An append is a step or
 * a host event, so a sampled trace shows how long frames wait for the disk. Sampling keeps the cost off the hot path.
 */
import type { AppendResult, Env, EventLog, StreamAppend } from "@millrace/engine";
import { SpanStatusCode, trace } from "@opentelemetry/api";

const U32 = 0x1_0000_0000;

/** `ratio`: share of appends that make a span, `0..1`. */
export function tracedLog(log: EventLog, ratio: number, env: Env): EventLog {
  const tracer = trace.getTracer("millrace");
  const threshold = ratio * U32;
  const traced = async (appends: readonly StreamAppend[]): Promise<AppendResult> => {
    const span = tracer.startSpan("log.append", {
      attributes: {
        "millrace.streams": appends.map(({ stream }) => stream),
        "millrace.events": appends.reduce((sum, { events }) => sum + events.length, 0),
      },
    });
    try {
      const result = await log.append(appends);
      span.setAttribute("millrace.position", result.position);
      return result;
    } catch (thrown) {
      span.recordException(thrown as Error);
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw thrown;
    } finally {
      span.end();
    }
  };
  return {
    id: log.id,
    appendBytesMax: log.appendBytesMax,
    get durableEnd() {
      return log.durableEnd;
    },
    get base() {
      return log.base ?? 0;
    },
    append: (appends) => (env.random.u32() < threshold ? traced(appends) : log.append(appends)),
    ...(log.lists === undefined ? {} : { lists: log.lists }),
    ...(log.appendsAheadMax === undefined ? {} : { appendsAheadMax: log.appendsAheadMax }),
    ...(log.appendIf === undefined ? {} : { appendIf: log.appendIf.bind(log) }),
    read: (options) => log.read(options),
    readStream: (stream, options) => log.readStream(stream, options),
    head: (stream) => log.head(stream),
    ...(log.prunedEnd === undefined ? {} : { prunedEnd: log.prunedEnd.bind(log) }),
    ...(log.carried === undefined ? {} : { carried: log.carried.bind(log) }),
    subscribe: (options) => log.subscribe(options),
    close: () => log.close(),
  };
}
