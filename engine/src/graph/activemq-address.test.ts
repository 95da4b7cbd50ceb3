import { describe, expect, test } from "vitest";
import { parseActivemqAddress } from "./activemq-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

describe("an activemq: address", () => {
  test("names brokers in order, credentials, and a queue or a topic", () => {
    expect(parseActivemqAddress("//ada:pw@a,b:1/queue/eu%2Forders?prefetch=10&ids=order-id", "source")).toMatchObject({
      endpoints: ["a:61613", "b:1"],
      user: "ada",
      password: "pw",
      kind: "queue",
      target: "eu/orders",
      options: new Map([
        ["prefetch", "10"],
        ["ids", "order-id"],
      ]),
    });
    expect(parseActivemqAddress("//a/topic/prices.>?tls=true&subscription=us", "source")).toMatchObject({
      endpoints: ["a:61614"],
      kind: "topic",
      target: "prices.>",
    });
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["//a/exchange/x", "source", "expected a path /queue/<name> or /topic/<name>"],
    ["//a/queue/x/y", "sink", "%2F for a slash"],
    [`//a/queue/${"x".repeat(256)}`, "sink", "1 to 255 bytes"],
    ["//a/queue/x,y", "source", "no name of one queue"],
    ["//a/topic/x.*", "sink", "no name of one topic"],
    ["//a/queue/x?prefetch=10001", "source", "option `prefetch`: expected a whole number from 1 to 10000"],
    ["//a/queue/x?subscription=s", "source", "unknown option `subscription`"],
    ["//a/queue/x?prefetch=1", "sink", "unknown option `prefetch`"],
    ["//a/topic/x?selector=", "source", "option `selector`: expected an expression"],
    ["//a/queue/x?priority=10", "sink", "expected a priority from 0 to 9, or the name of a field"],
    ["//a/queue/x?priority=-1", "sink", "expected a priority from 0 to 9, or the name of a field"],
    ["//a/queue/x?priority=1", "source", "unknown option `priority`"],
    ["//a/queue/x?ca=x.pem", "sink", "option `ca` needs `tls=true`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseActivemqAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test.each(["9", "urgency"])("may say the priority %s of what is sent", (priority) => {
    const parsed = parseActivemqAddress(`//a/queue/x?priority=${priority}`, "sink");
    expect(parsed).toMatchObject({ options: new Map([["priority", priority]]) });
  });

  test("cannot be replayed or have a key: the problem names line and column", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "activemq://h/topic/x", time: at, speed: 2 }
  out: { kind: sink, input: in, to: "activemq://h/queue/y", key: [b] }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a subscription forgets what was acknowledged/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA `key`: a message for activemq: has none/),
    ]);
  });
});
