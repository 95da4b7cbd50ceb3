import { describe, expect, test } from "vitest";
import { parseKafkaAddress } from "./kafka-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

describe("a kafka: address", () => {
  test("names brokers in order, credentials, and a topic", () => {
    expect(parseKafkaAddress("//me:p%3Aw@a,b:1/orders.eu?group=g&gap=record&until=now&tls=true", "source")).toEqual({
      endpoints: ["a:9092", "b:1"],
      user: "me",
      password: "p:w",
      path: ["orders.eu"],
      options: new Map(Object.entries({ group: "g", gap: "record", until: "now", tls: "true" })),
      kind: "topic",
      topic: "orders.eu",
    });
    expect(parseKafkaAddress("//a/out", "sink")).toMatchObject({ kind: "topic", topic: "out" });
  });

  test.each([
    ["//", "source", "expected //host:port/…, as in kafka://127.0.0.1:9092/orders"],
    ["//late-flights", "sink", "expected a path /<topic>"],
    ["//a/topic/x", "source", "expected a path /<topic>"],
    ["//a/..", "source", "`..` is no name of a topic"],
    ["//a/b%20c", "source", "`b c` is no name of a topic"],
    ["//a/x?partitions=0", "source", "option `partitions`: expected a number of partitions"],
    ["//a/x?grup=g", "source", "unknown option `grup`; did you mean `group`?"],
    ["//a/x?group=g", "sink", "unknown option `group`"],
    ["//a/x?compression=zip", "sink", "option `compression`: expected gzip or snappy or lz4 or zstd"],
    ["//a/x?compression=gzip", "source", "unknown option `compression`"],
    ["//a/x?read=all", "source", "option `read`: expected committed or uncommitted"],
    ["//a:0/x", "source", "`a:0` is no host and port"],
    ["//a/x?group=g&group=h", "source", "option `group` is given twice"],
    ["//a/x?valueOf=1", "source", "unknown option `valueOf`; known are"],
    ["//me:5%@a/x", "source", "a percent sign must be followed by two hex digits"],
    ["//me@a/x", "source", "a user needs a password"],
    ["//a/x?sasl=plain", "sink", "option `sasl` needs a user"],
    ["//a/x?ca=ca.pem", "sink", "option `ca` needs `tls=true`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseKafkaAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test("is checked in a graph file, with its place", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "kafka://h/in?envelop=true", follow: true }
  out: { kind: sink, input: in, to: "kafka://\${env:USER}:\${env:PASSWORD}@h/out", key: [a, b] }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-SCHEMA `kafka:.*unknown option `envelop`; did you mean `envelope`\?/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA a topic takes `key` with one field/),
    ]);
  });

  test("cannot be asked for what a broker's messages always do", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "kafka://h/in", follow: true }
  out: { kind: sink, input: in, to: "kafka://h/out" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `follow`: a broker's messages are always followed/),
    ]);
  });
});
