import { parseGraph, systemEnv } from "@millrace/engine";
import { expect, test } from "vitest";
import { stateBehavior } from "./state-behavior.ts";

test.each([
  ["http://h/x", { ids: ["1"], rejected: 2, cursor: { value: 7 } }],
  ["sse+https://h/x", { ids: [], rejected: 0, cursor: { id: "a" } }],
  ["wss://h/x", { ids: ["1"], rejected: 0 }],
  ["postgres://h/shop/outbox/orders", { ids: ["1"], rejected: 2 }],
  ["postgres://h/shop/cdc/orders?slot=a", { ids: [], rejected: 0, cursor: { lsn: "0/1" } }],
  ["custom:./stock.mjs", { ids: ["1"], rejected: 0 }],
  ["amqp10://h/queue/orders", { ids: ["1"], rejected: 2 }],
  ["http:/push", { ids: ["1"], rejected: 1 }],
] as const)("what a source %s logged folds to the same, without its connector", async (from, change) => {
  const parsed = parseGraph(`name: g
nodes:
  in:  { kind: source, from: "${from}" }
  out: { kind: sink, input: in, to: "discard:" }
`);
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const node = parsed.graph.nodes.get("in");
  if (node === undefined) throw new Error("the graph has the node");
  const behavior = await stateBehavior(node, parsed.graph, systemEnv());
  behavior.fold(change);
  expect(behavior.snapshot?.()).toEqual(change);
});
