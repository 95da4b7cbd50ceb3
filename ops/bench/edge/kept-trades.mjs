/** The graph without state: topic, parse, filter, map, topic. */

import { millraceRun } from "./millrace-run.mjs";
import { CONNECT } from "./peers.mjs";
import { expectedTrades, QTY_MIN } from "./trades.mjs";

const commands = {
  millrace: (run) =>
    millraceRun(
      run,
      `  trades:  { kind: source, from: "SOURCE" }
  large:   { kind: filter, input: trades, where: "event.qty >= ${QTY_MIN}" }
  valued:  { kind: map, input: large, set: { value: "event.price * event.qty" } }
  out:     { kind: sink, input: valued, to: "SINK", key: [symbol] }
`,
    ),
  redpandaConnect: ({ address, from, to }) => [CONNECT, [address, from, to]],
};

export const keptTrades = {
  commands,
  bounded: [],
  expected: expectedTrades,
  keyOf: ({ id }) => id,
  fieldsOf: ({ symbol, value, at, note }) => ({ symbol, value, at, note }),
};
