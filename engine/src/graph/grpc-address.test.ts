import { describe, expect, test } from "vitest";
import { parseGrpcAddress } from "./grpc-address.ts";
import { parseGrpcListenAddress } from "./grpc-listen-address.ts";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

describe("a grpc: address", () => {
  test("names hosts in order, a service and its method", () => {
    expect(parseGrpcAddress("//a,b:1/shop.v1.Orders/Follow?until=end&probe=1s", "source")).toMatchObject({
      endpoints: ["a:80", "b:1"],
      kind: "method",
      service: "shop.v1.Orders",
      method: "Follow",
    });
    expect(parseGrpcAddress("//a/Orders/Put?tls=true&ca=ca.pem&cert=c.pem&key=k.pem&server=x", "sink")).toMatchObject({
      endpoints: ["a:443"],
      service: "Orders",
    });
  });

  test.each([
    ["//", "source", "expected //host:port/…, as in grpc://"],
    ["//a", "source", "expected a path /<package.Service>/<Method>"],
    ["//a/Orders", "source", "expected a path /<package.Service>/<Method>"],
    ["//a/Orders/Put/x", "sink", "expected a path /<package.Service>/<Method>"],
    ["//a/shop-v1.Orders/Put", "sink", "expected a path /<package.Service>/<Method>"],
    ["//ada:pw@a/Orders/Put", "sink", "credentials belong under `grpc.metadata`"],
    ["//a/Orders/Put?until=end", "sink", "unknown option `until`"],
    ["//a/Orders/Put?until=now", "source", "option `until`: expected end"],
    ["//a/Orders/Put?ca=x", "source", "option `ca` needs `tls=true`"],
    ["//a/Orders/Put?tls=true&cert=x", "source", "options `cert` and `key` need each other"],
    ["//a/Orders/Put?tls=true&serfer=x", "source", "unknown option `serfer`; did you mean `server`"],
  ] as const)("%s as a %s: %s", (address, side, fault) => {
    expect(parseGrpcAddress(address, side)).toMatchObject({ fault: expect.stringContaining(fault) });
  });
});

describe("a grpc+listen: address", () => {
  test("is one of this machine, or wants certificates of its clients", () => {
    expect(parseGrpcListenAddress("//127.0.0.1:5")).toMatchObject({ kind: "listen", endpoints: ["127.0.0.1:5"] });
    expect(parseGrpcListenAddress("//[::1]:5?tls=true&cert=c&key=k")).toMatchObject({ kind: "listen" });
    expect(parseGrpcListenAddress("//0.0.0.0:5?tls=true&cert=c&key=k&ca=a")).toMatchObject({ kind: "listen" });
  });

  test.each([
    ["127.0.0.1:5", "as in grpc+listen://127.0.0.1:50061"],
    ["//127.0.0.1", "expected one address with a port"],
    ["//127.0.0.1:5,127.0.0.1:6", "expected one address with a port"],
    ["//127.0.0.1:5/x", "expected no path"],
    ["//me:pw@127.0.0.1:5", "told by certificates"],
    ["//127.0.0.1:5?ca=a", "option `ca` needs `tls=true`"],
    ["//127.0.0.1:5?tls=true&cert=c", "needs `cert` and `key`"],
    ["//0.0.0.0:5", "only to clients with a certificate"],
    ["//127.example.com:5", "only to clients with a certificate"],
    ["//0.0.0.0:5?tls=true&cert=c&key=k", "only to clients with a certificate"],
    ["//127.0.0.1:5?server=x", "unknown option `server`"],
  ])("%s: %s", (address, fault) => {
    expect(parseGrpcListenAddress(address)).toMatchObject({ fault: expect.stringContaining(fault) });
  });
});

const problemsOf = (text: string): readonly string[] => {
  const parsed = parseGraph(text, { file: "g.yaml", fileExists: (path) => path === "./shop.proto" });
  return "problems" in parsed ? parsed.problems.map(formatProblem) : [];
};

describe("how a grpc: address is called", () => {
  test("is right", () => {
    expect(
      problemsOf(`name: g
nodes:
  in:  { kind: source, from: "grpc://a/Orders/Follow", grpc: { proto: ./shop.proto, cursor: { field: n, request: after }, metadata: { authorization: "Bearer \${env:TOKEN}" } } }
  out: { kind: sink, input: in, to: "grpc://a/Orders/Put", grpc: { proto: ./shop.proto, message: order, id: id, inFlight: 8 } }
`),
    ).toEqual([]);
  });

  test.each([
    ['from: "grpc://a/Orders/Follow"', "g.yaml:3:30 GRAPH-SCHEMA a grpc: address needs `grpc: { proto: … }`"],
    ['from: "grpc://a", grpc: { proto: ./shop.proto }', "g.yaml:3:30 GRAPH-SCHEMA `grpc://a`: expected a path"],
    ['from: "nats://a/core/x", grpc: { proto: ./shop.proto }', "g.yaml:3:49 GRAPH-CAP `grpc`: only a grpc: address"],
    ['from: "grpc://a/O/F", grpc: { proto: ./other.proto }', "g.yaml:3:61 GRAPH-FILE there is no file `./other.proto`"],
    [
      'from: "grpc://a/O/F", grpc: { proto: ./shop.txt }',
      "g.yaml:3:61 GRAPH-SCHEMA the description of a service ends in",
    ],
    ['from: "grpc://a/O/F", grpc: { request: {} }', "GRAPH-SCHEMA"],
    ['from: "grpc://a/O/F", grpc: { proto: ./shop.proto, cursor: { field: n } }', "g.yaml:3:75 GRAPH-SCHEMA"],
    ['from: "grpc://a/O/F", grpc: { proto: ./shop.proto, curser: { field: n } }', "unknown key `curser`"],
    [
      'from: "grpc://a/O/F", grpc: { proto: ./shop.proto, metadata: { authorization: secret } }',
      "g.yaml:3:102 GRAPH-SCHEMA a secret is never written into a graph",
    ],
    [
      'from: "grpc://a/O/F", grpc: { proto: ./shop.proto, metadata: { grpc-timeout: "1" } }',
      "GRAPH-SCHEMA `grpc-timeout` is no metadata that can be given",
    ],
    [
      'from: "grpc://a/O/F", time: at, speed: 2, grpc: { proto: ./shop.proto }',
      "GRAPH-CAP `speed`: a service need not say again",
    ],
    ['from: "grpc+listen://0.0.0.0:5"', "g.yaml:3:30 GRAPH-SCHEMA `grpc+listen://0.0.0.0:5`: beyond this machine"],
    ['from: "grpc+listen://127.0.0.1:5", time: at, speed: 2', "GRAPH-CAP `speed`: who publishes forgets"],
    ['from: "grpc+listen://127.0.0.1:5", grpc: { proto: ./shop.proto }', "GRAPH-CAP `grpc`: only a grpc: address"],
    ['from: "grpc://a/O/F", format: csv, grpc: { proto: ./shop.proto }', "GRAPH-CAP `format`: the description"],
    ['from: "grpc://a/O/F", format: cloudevents, grpc: { proto: ./shop.proto }', "GRAPH-CAP grpc: has no CloudEvents"],
  ])("%s is reported: %s", (source, problem) => {
    const found = problemsOf(`name: g
nodes:
  in:  { kind: source, ${source} }
  out: { kind: sink, input: in, to: "discard:" }
`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });

  test("a sink has no key there", () => {
    expect(
      problemsOf(`name: g
nodes:
  in:  { kind: source, from: "metronome:1s" }
  out: { kind: sink, input: in, to: "grpc://a/O/P", key: [n], grpc: { proto: ./shop.proto } }
`),
    ).toEqual(["g.yaml:4:53 GRAPH-SCHEMA `key`: a message for grpc: has none"]);
  });
});
