import { describe, expect, test } from "vitest";
import { parseMqttAddress } from "./mqtt-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

describe("an mqtt: address", () => {
  test("names brokers in order, credentials, a topic or a filter, and a quality of service", () => {
    expect(parseMqttAddress("//ada:pw@a,b:1/topic/plant/+/%23?qos=2&session=s1&prefetch=10", "source")).toMatchObject({
      endpoints: ["a:1883", "b:1"],
      user: "ada",
      password: "pw",
      kind: "topic",
      target: "plant/+/#",
      qos: 2,
    });
    expect(parseMqttAddress("//a/topic/x?tls=true", "sink")).toMatchObject({ endpoints: ["a:8883"], qos: 1 });
    expect(parseMqttAddress("//a/topic/x?qos=0", "source")).toMatchObject({ kind: "live", qos: 0 });
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["//a/queue/x", "source", "expected a path /topic/<topic>"],
    ["//a/topic", "source", "expected a path /topic/<topic>"],
    ["//a/topic/x?qos=3", "source", "option `qos`: expected 0 or 1 or 2"],
    ["//a/topic/x?sesion=a", "source", "unknown option `sesion`; did you mean `session`"],
    ["//a/topic/x?prefetch=0", "source", "option `prefetch`: expected a whole number from 1 to 65535"],
    ["//a/topic/x?qos=0&session=a", "source", "quality of service 0 has none"],
    ["//a/topic/x?ca=x.pem", "sink", "option `ca` needs `tls=true`"],
    ["//a/topic/x?retain=true", "source", "unknown option `retain`"],
    ["//a/topic/x/+", "sink", "is no topic to publish to"],
    ["//a/topic/x+/y", "source", "+ stands for a whole level"],
    ["//a/topic/%23/y", "source", "+ stands for a whole level"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseMqttAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test("cannot be replayed: what was acknowledged does not come again", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "mqtt://h/topic/x", time: at, speed: 2 }
  out: { kind: sink, input: in, to: "mqtt://h/topc/y" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a topic's broker forgets what was acknowledged/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA .*expected a path \/topic\//),
    ]);
  });
});
