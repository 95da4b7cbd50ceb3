import { expect, test } from "vitest";
import { parseMemAddress } from "./mem-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

test("a mem: address names a queue", () => {
  expect(parseMemAddress("orders.eu-1")).toEqual({ kind: "queue", name: "orders.eu-1" });
});

test.each(["", "//orders", "a b", "1", "orders?capacity=5"])("mem:%s is refused", (address) => {
  expect(parseMemAddress(address)).toEqual({ fault: expect.stringContaining("as in mem:orders") });
});

test("messages of a queue in memory have no key, and cannot be replayed", () => {
  const parsed = parseGraph(`name: g
nodes:
  in:  { kind: source, from: "mem:a", time: at, speed: 2 }
  out: { kind: sink, input: in, to: "mem:b", key: [id] }
`);
  expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
    expect.stringMatching(/GRAPH-CAP `speed`: a queue in memory forgets what was taken/),
    expect.stringMatching(/GRAPH-SCHEMA `key`: a message for mem: has none/),
  ]);
});
