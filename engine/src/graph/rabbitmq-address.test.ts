import { describe, expect, test } from "vitest";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";
import { parseRabbitmqAddress } from "./rabbitmq-address.ts";

describe("a rabbitmq: address", () => {
  test("names brokers in order, credentials, and a queue or an exchange", () => {
    expect(parseRabbitmqAddress("//ada:pw@a,b:1/queue/eu%2Forders?vhost=/shop&prefetch=10", "source")).toMatchObject({
      endpoints: ["a:5672", "b:1"],
      user: "ada",
      password: "pw",
      kind: "queue",
      target: "eu/orders",
      options: new Map([
        ["vhost", "/shop"],
        ["prefetch", "10"],
      ]),
    });
    expect(parseRabbitmqAddress("//a/exchange/x?tls=true", "sink")).toMatchObject({
      endpoints: ["a:5671"],
      kind: "exchange",
    });
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["//a/topic/x", "source", "expected a path /queue/<name> or /exchange/<name>"],
    ["//a/constructor/x", "source", "/exchange/<name> or /stream/<name>"],
    ["//a/stream/x", "sink", "expected a path /queue/<name> or /exchange/<name>, with"],
    ["//a/stream/x?gap=skip", "source", "option `gap`: expected stop or record"],
    ["//a/stream/x?ids=message", "source", "unknown option `ids`"],
    ["//a/queue/x?until=now", "source", "unknown option `until`"],
    ["//a/queue", "sink", "expected a path /queue/<name>"],
    ["//a/queue/x/y", "sink", "%2F for a slash"],
    [`//a/queue/${"x".repeat(256)}`, "sink", "1 to 255 bytes"],
    ["//a/exchange/x", "source", "option `key`: a source needs the pattern"],
    ["//a/queue/x?prefetch=0", "source", "option `prefetch`: expected a whole number from 1 to 10000"],
    ["//a/queue/x?prefetsh=1", "source", "unknown option `prefetsh`; did you mean `prefetch`"],
    ["//a/queue/x?prefetch=1", "sink", "unknown option `prefetch`"],
    ["//a/queue/x?vhost=", "sink", "option `vhost`: expected a text"],
    ["//a/queue/x?ids=body", "source", "option `ids`: expected message"],
    ["//a/exchange/x?key=a&type=stream", "source", "option `type`: expected quorum or classic"],
    ["//a/queue/x?priority=256", "sink", "expected a priority from 0 to 255, or the name of a field"],
    ["//a/queue/x?priority=-1", "sink", "expected a priority from 0 to 255, or the name of a field"],
    ["//a/queue/x?priority=1", "source", "unknown option `priority`"],
    ["//a/queue/x?ca=x.pem", "sink", "option `ca` needs `tls=true`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseRabbitmqAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test.each(["255", "urgency"])("may say the priority %s of what is sent", (priority) => {
    const parsed = parseRabbitmqAddress(`//a/queue/x?priority=${priority}`, "sink");
    expect(parsed).toMatchObject({ options: new Map([["priority", priority]]) });
  });

  test("of a stream may have event times", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "rabbitmq://h/stream/x?until=now", time: at, watermark: 1s }
  out: { kind: sink, input: in, to: "rabbitmq://h/queue/y" }
`;
    expect("problems" in parseGraph(text)).toBe(false);
  });

  test("of a queue cannot be replayed, nor a sink two routing keys: the problem names line and column", () => {
    const text = `name: g
nodes:
  in:   { kind: source, from: "rabbitmq://h/queue/x", time: at, speed: 2 }
  out:  { kind: sink, input: in, to: "rabbitmq://h/exchange/y?key=a", key: [b] }
  more: { kind: sink, input: in, to: "rabbitmq://h/queue/y", key: [b] }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a queue forgets what was acknowledged/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA .*routing key/),
      expect.stringMatching(/^g\.yaml:5:\d+ GRAPH-SCHEMA .*routing key/),
    ]);
  });
});
