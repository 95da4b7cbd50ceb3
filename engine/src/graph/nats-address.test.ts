import { describe, expect, test } from "vitest";
import { parseNatsAddress } from "./nats-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

describe("a nats: address", () => {
  test("names servers in order, credentials, and what is read or written", () => {
    expect(
      parseNatsAddress("//u%40x:p%3Aw@a,b:4333,[::1]:1/jetstream/ORDERS?filter=orders.%3E&gap=record", "source"),
    ).toEqual({
      endpoints: ["a:4222", "b:4333", "[::1]:1"],
      user: "u@x",
      password: "p:w",
      path: ["jetstream", "ORDERS"],
      options: new Map([
        ["filter", "orders.>"],
        ["gap", "record"],
      ]),
      kind: "jetstream",
      target: "ORDERS",
    });
    expect(parseNatsAddress("//token@a/core/x.*.y", "source")).toMatchObject({
      user: "token",
      kind: "core",
      target: "x.*.y",
    });
    expect(parseNatsAddress("//a/kv/BUCKET", "sink")).not.toHaveProperty("user");
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["orders", "source", "expected //host:port"],
    ["//a:99999/core/x", "source", "`a:99999` is no host and port"],
    ["//a,/core/x", "source", "`` is no host and port"],
    ["//a/core/%zz", "source", "percent sign"],
    ["//a/queue/x", "source", "expected a path /core/<subject>"],
    ["//a/core/x/y", "source", "expected a path /core/<subject>"],
    ["//a/jetstream/orders.new", "source", "is no name of a stream"],
    ["//a/kv/a.b", "sink", "is no name of a bucket"],
    ["//a/core/a..b", "source", "is no subject"],
    ["//a/core/x?ca=ca.pem", "source", "option `ca` needs `tls=true`"],
    ["//a/core/a.>.b", "source", "is no subject"],
    ["//a/core/a.*", "sink", "is no subject to publish to"],
    ["//a/jetstream/S?filtr=x", "source", "unknown option `filtr`; did you mean `filter`?"],
    ["//a/jetstream/S?gap=skip", "source", "option `gap`: expected stop or record"],
    ["//a/jetstream/s?gap=stop", "sink", "unknown option `gap`; known are probe, suspend"],
    ["//a/core/s?probe=5", "sink", "option `probe`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseNatsAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });
});

describe("NATS in a graph file", () => {
  const problems = (source: string, sink: string): readonly string[] => {
    const text = `name: g
nodes:
  in:  { kind: source, ${source} }
  out: { kind: sink, input: in, ${sink} }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    return "problems" in parsed ? parsed.problems.map(formatProblem) : [];
  };
  const secret = (reference: string): string => ["$", "{", reference, "}"].join("");
  const stream = 'from: "nats://127.0.0.1:4222/jetstream/IN"';
  const subject = 'to: "nats://127.0.0.1:4222/jetstream/out"';

  test("streams, buckets and subjects are sources and sinks; secrets may be anywhere in the address", () => {
    expect(problems(`${stream}, time: at, watermark: 1s, speed: 2`, subject)).toEqual([]);
    expect(problems('from: "nats://h/core/x.>"', 'to: "nats://h/core/y"')).toEqual([]);
    expect(
      problems(`from: "nats://${secret("env:U")}:${secret("file:./pw")}@h/kv/B"`, 'to: "nats://h/kv/C", key: [id]'),
    ).toEqual([]);
  });

  test("what cannot be is reported with its place", () => {
    expect(problems('from: "nats://h/jetstream/a.b"', 'to: "nats://h/kv/C"')).toEqual([
      expect.stringMatching(/^g\.yaml:3:30 GRAPH-SCHEMA .*is no name of a stream/),
      expect.stringMatching(/^g\.yaml:4:3 GRAPH-SCHEMA a key-value bucket needs `key`/),
    ]);
    expect(problems(`${stream}, follow: true`, subject)).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `follow`: a broker's messages are always followed/),
    ]);
    expect(problems('from: "nats://h/core/x", time: at, watermark: 1s, idle: 1m, speed: 2', subject)).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a core subject keeps nothing/),
    ]);
  });
});
