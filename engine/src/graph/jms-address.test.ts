import { describe, expect, test } from "vitest";
import { parseJmsAddress } from "./jms-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

describe("a jms: address", () => {
  test("names brokers in order, credentials, and a queue or a topic", () => {
    expect(parseJmsAddress("//ada:pw@a:1414,b:1/queue/eu%2FORDERS?prefetch=10&ids=order_id", "source")).toMatchObject({
      endpoints: ["a:1414", "b:1"],
      user: "ada",
      password: "pw",
      kind: "queue",
      target: "eu/ORDERS",
      options: new Map([
        ["prefetch", "10"],
        ["ids", "order_id"],
      ]),
    });
    expect(parseJmsAddress("//a:7222/topic/prices.>?priority=3&properties=a,b&expiry=1h", "sink")).toMatchObject({
      kind: "topic",
      target: "prices.>",
    });
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["//a/queue/x", "source", "`a` needs a port"],
    ["//a:1/jndi/x", "source", "expected a path /queue/<name> or /topic/<name>"],
    ["//a:1/queue/x/y", "sink", "%2F for a slash"],
    ["//a:1/queue/x?subscription=s", "source", "unknown option `subscription`"],
    ["//a:1/queue/x?prefetch=10001", "source", "option `prefetch`: expected a whole number from 1 to 10000"],
    ["//a:1/queue/x?ids=order-id", "source", "option `ids`: expected the name of a property"],
    ["//a:1/queue/x?selector=", "source", "option `selector`: expected an expression"],
    ["//a:1/queue/x?priority=10", "sink", "option `priority`: expected a priority from 0 to 9, or the name of a field"],
    ["//a:1/queue/x?properties=a,b-c", "sink", "option `properties`: expected names of fields"],
    ["//a:1/queue/x?body=object", "sink", "option `body`: expected text or bytes or map"],
    ["//a:1/queue/x?expiry=soon", "sink", "option `expiry`:"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseJmsAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });
});

describe("the client of a jms: address", () => {
  const problems = (jms: string, from = "jms://h:1/topic/x"): readonly string[] => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "${from}"${jms === "" ? "" : `, jms: ${jms}`} }
  out: { kind: sink, input: in, to: "discard:" }
`;
    const parsed = parseGraph(text, { file: "g.yaml", fileExists: (path) => path === "./lib" });
    return "problems" in parsed ? parsed.problems.map(formatProblem) : [];
  };

  test("is a class with settings, or what JNDI has", () => {
    expect(problems(`{ classPath: ["./lib/*"], factory: com.x.F, set: { url: "{host}", n: 1, is: true } }`)).toEqual(
      [],
    );
    expect(problems(`{ classPath: [./lib], lookup: F, jndi: { a: b }, system: { password: "\${env:P}" } }`)).toEqual(
      [],
    );
  });

  test.each([
    ["", "g.yaml:3:3 GRAPH-SCHEMA a jms: address needs `jms`"],
    ["{ classPath: [./lib] }", "GRAPH-SCHEMA needs either `factory`, a class, or `lookup`"],
    ["{ classPath: [./lib], factory: F, lookup: F, jndi: {} }", "GRAPH-SCHEMA needs either `factory`"],
    ["{ classPath: [./lib], lookup: F }", "GRAPH-SCHEMA `lookup` needs `jndi` or `jndiFile`"],
    [
      "{ classPath: [./lib], factory: F, jndi: { a: b } }",
      "GRAPH-SCHEMA `jndi` and `jndiFile` say where `lookup` looks",
    ],
    ["{ factory: F }", "GRAPH-SCHEMA"],
    ["{ classPath: [./x.jar], factory: F }", "g.yaml:3:70 GRAPH-FILE there is no file `./x.jar`"],
    ["{ classPath: [./lib], factory: F, set: { userPassword: s3cret } }", "GRAPH-SCHEMA a secret is never written"],
    ["{ classPath: [./lib], factory: F, acknowledge: one }", "GRAPH-SCHEMA"],
  ] as const)("%s is refused with its place", (jms, problem) => {
    expect(problems(jms)).toEqual([expect.stringContaining(problem)]);
  });

  test("says where the hosts go when there are several, and belongs to jms: only", () => {
    const client = "{ classPath: [./lib], factory: F, set: { url: x } }";
    expect(problems(client, "jms://a:1,b:1/queue/x")).toEqual([
      expect.stringContaining("several hosts, and no setting"),
    ]);
    expect(problems(client, "activemq://a/queue/x")).toEqual([expect.stringContaining("GRAPH-CAP `jms`: only a jms:")]);
  });

  test("reads what cannot be read again, so there is nothing to replay", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "jms://h:1/queue/x", time: at, speed: 2, jms: { classPath: [a.jar], factory: F } }
  out: { kind: sink, input: in, to: "jms://h:1/queue/y", key: [b], jms: { classPath: [a.jar], factory: F } }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a queue forgets what was acknowledged/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA `key`: a message for jms: has none/),
    ]);
  });
});
