import { describe, expect, test } from "vitest";
import { parseAmqp10Address } from "./amqp10-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

describe("an amqp10: address", () => {
  test("names brokers in order, credentials, and an address to be used as a queue or a topic", () => {
    expect(
      parseAmqp10Address("//ada:pw@a,b:1/queue/%2Famq%2Fqueue%2Forders?hostname=vhost:shop&deliveries=3", "source"),
    ).toMatchObject({
      endpoints: ["a:5672", "b:1"],
      user: "ada",
      password: "pw",
      kind: "queue",
      target: "/amq/queue/orders",
      options: new Map([
        ["hostname", "vhost:shop"],
        ["deliveries", "3"],
      ]),
    });
    expect(parseAmqp10Address("//a/topic/topic%3A%2F%2Fx?tls=true&subscription=us", "source")).toMatchObject({
      endpoints: ["a:5671"],
      kind: "topic",
      target: "topic://x",
    });
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["//a/address/x", "source", "expected a path /queue/<address> or /topic/<address>"],
    ["//a/queue/x/y", "sink", "%2F for a slash"],
    ["//a/queue/x?prefetch=0", "source", "option `prefetch`: expected a whole number from 1 to 10000"],
    ["//a/queue/x?ids=body", "source", "option `ids`: expected message"],
    ["//a/queue/x?subscription=s", "source", "unknown option `subscription`"],
    ["//a/queue/x?deliveries=1", "sink", "unknown option `deliveries`"],
    ["//a/queue/x?hostname=", "sink", "option `hostname`: expected a text"],
    ["//a/queue/x?priority=256", "sink", "expected a priority from 0 to 255, or the name of a field"],
    ["//a/queue/x?priority=-1", "sink", "expected a priority from 0 to 255, or the name of a field"],
    ["//a/queue/x?priority=1", "source", "unknown option `priority`"],
    ["//a/queue/x?ca=x.pem", "sink", "option `ca` needs `tls=true`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseAmqp10Address(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test.each(["255", "urgency"])("may say the priority %s of what is sent", (priority) => {
    const parsed = parseAmqp10Address(`//a/queue/x?priority=${priority}`, "sink");
    expect(parsed).toMatchObject({ options: new Map([["priority", priority]]) });
  });

  test("cannot be replayed or have a key: the problem names line and column", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "amqp10://h/queue/x", watermark: 1s, time: at, speed: 2 }
  out: { kind: sink, input: in, to: "amqp10://h/topic/y", key: [b] }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a queue forgets what was acknowledged/),
        expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA `key`: a message for amqp10: has none/),
      ]),
    );
  });
});
