/** The graph with state: topic, parse, filter, map, a window of ten seconds for each key, topic. */
import { join } from "node:path";
import { millraceRun } from "./millrace-run.mjs";
import { BYTEWAX, STREAMS_CLASSPATH } from "./peers.mjs";
import { expectedWindows, QTY_MIN, WATERMARK_MS, WINDOW_MS } from "./trades.mjs";

/**
 * Program, arguments and environment of an engine. `isLive`: it waits for more at the end of the topic.
 *
 * @type {Record<string, (run: { address: string, from: string, to: string, folder: string, isLive: boolean }) => [string, string[], object?]>}
 */
const commands = {
  millrace: (run) =>
    millraceRun(
      run,
      `  trades:  { kind: source, from: "SOURCE", time: at, watermark: ${WATERMARK_MS}ms }
  large:   { kind: filter, input: trades, where: "event.qty >= ${QTY_MIN}" }
  valued:  { kind: map, input: large, set: { value: "event.price * event.qty" } }
  windows:
    kind: window
    input: valued
    tumbling: ${WINDOW_MS}ms
    by: { symbol: event.symbol }
    compute: { n: count(), sum: sum(event.value), low: min(event.price), high: max(event.price) }
  out:     { kind: sink, input: windows, to: "SINK", key: [symbol] }
`,
    ),
  kafkaStreamsEos: ({ address, from, to, folder }) => [
    "java",
    [
      "-Xmx512m",
      "-XX:+UseSerialGC",
      "-cp",
      STREAMS_CLASSPATH,
      "millrace.bench.TradeWindows",
      address,
      from,
      to,
      join(folder, "state"),
    ],
  ],
  bytewax: ({ address, from, to, folder }) => [BYTEWAX, [address, from, to, join(folder, "recovery")]],
};

export const tradeWindows = {
  commands,
  /** Windows of keys of their own close in Bytewax when the topic ends, or with the clock: there is no delay to measure. */
  bounded: ["bytewax"],
  expected: expectedWindows,
  keyOf: ({ symbol, window_start }) => `${symbol} ${Date.parse(window_start)}`,
  fieldsOf: ({ n, sum, low, high }) => ({ n, sum, low, high }),
};
