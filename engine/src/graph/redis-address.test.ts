import { describe, expect, test } from "vitest";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";
import { parseRedisAddress } from "./redis-address.ts";

describe("a redis: address", () => {
  test("names servers in order, credentials, and a stream, a channel or a prefix of keys", () => {
    expect(parseRedisAddress("//pw@a,b:1/stream/orders%2Feu?db=2&field=*&gap=record&until=now", "source")).toEqual({
      endpoints: ["a:6379", "b:1"],
      user: "pw",
      path: ["stream", "orders/eu"],
      options: new Map(Object.entries({ db: "2", field: "*", gap: "record", until: "now" })),
      kind: "stream",
      target: "orders/eu",
    });
    expect(parseRedisAddress("//a/channel/live", "sink")).toMatchObject({ kind: "channel", target: "live" });
    expect(parseRedisAddress("//a/key/orders:?until=now", "source")).toMatchObject({ kind: "key", target: "orders:" });
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["//a/list/x", "source", "expected a path /stream/<key>, /channel/<name> or /key/<prefix>"],
    ["//a/stream", "source", "expected a path /stream/<key>"],
    ["//a/stream/x?db=one", "source", "option `db`: expected a number"],
    ["//a/stream/x?field=", "source", "option `field`: expected the name"],
    ["//a/stream/x?gap=stop", "sink", "unknown option `gap`; known are probe, suspend, db, field"],
    ["//a/channel/x?until=now", "source", "unknown option `until`"],
    ["//a/key/x?until=now", "sink", "unknown option `until`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseRedisAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test("of a channel cannot be replayed", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "redis://h/channel/x", time: at, speed: 2 }
  out: { kind: sink, input: in, to: "redis://h/stream/y" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a channel keeps nothing/),
    ]);
  });

  test("of keys needs a field that holds the key, and cannot be replayed", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "redis://h/key/a:", time: at, speed: 2 }
  out: { kind: sink, input: in, to: "redis://h/key/b:" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a key has one value/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA keys of Redis need `key` with one field/),
    ]);
  });
});
