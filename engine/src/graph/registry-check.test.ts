import { describe, expect, it } from "vitest";
import { parseGraph } from "./parse.ts";

const SECRET = `'\${env:P}'`;

const problems = (nodes: string, exists = true): readonly string[] => {
  const parsed = parseGraph(`name: g\nnodes:\n${nodes}`, { fileExists: () => exists });
  return "graph" in parsed ? [] : parsed.problems.map(({ path, code, message }) => `${path} ${code} ${message}`);
};
const source = (registry: string, from = "kafka://h/t"): string =>
  `  in: { kind: source, from: "${from}", registry: ${registry} }\n  out: { kind: sink, input: in, to: "discard:" }`;
const sink = (registry: string): string =>
  `  in: { kind: source, from: "kafka://h/t" }\n  out: { kind: sink, input: in, to: "kafka://h/t", registry: ${registry} }`;

describe("a schema registry", () => {
  it.each([
    source("{ url: 'http://h:8081' }"),
    source(`{ url: 'https://a/base, https://b', auth: { type: basic, user: u, password: ${SECRET} }, ca: ca.pem }`),
    source(`{ url: "http://\${env:HOST}:8081", auth: { type: bearer, token: ${SECRET} }, allow: ['10.0.0.0/8'] }`),
    sink("{ url: 'http://h' }"),
    sink("{ url: 'http://h', schema: a.avsc, register: true, subject: record }"),
    sink("{ url: 'http://h', record: a.B, subject: topic-record }"),
    sink("{ url: 'http://h', schema: a.proto, references: [{ name: b.proto, subject: b, version: 1 }] }"),
  ])("may be %s", (nodes) => {
    expect(problems(nodes)).toEqual([]);
  });

  it.each<[string, string]>([
    [source("{ url: 'http://h' }", "nats://h/core/s"), "/nodes/in/registry GRAPH-CAP"],
    [source("{}"), "/nodes/in/registry GRAPH-SCHEMA"],
    [source("{ url: 'h:8081' }"), "/nodes/in/registry/url GRAPH-SCHEMA `h:8081` is no http(s) address"],
    [source("{ url: 'http://u:p@h' }"), "/nodes/in/registry/url GRAPH-SCHEMA credentials belong under `registry.auth`"],
    [
      source("{ url: 'http://h', auth: { type: basic, user: u } }"),
      "/nodes/in/registry/auth GRAPH-SCHEMA auth of type `basic` needs `password`",
    ],
    [
      source("{ url: 'http://h', auth: { type: bearer, token: plain } }"),
      "/nodes/in/registry/auth/token GRAPH-SCHEMA a secret is never written",
    ],
    [source("{ url: 'http://h', allow: ['localhost'] }"), "/nodes/in/registry/allow/0 GRAPH-SCHEMA"],
    [source("{ url: 'http://h', schema: a.avsc }"), "/nodes/in/registry/schema GRAPH-SCHEMA"],
    [
      sink("{ url: 'http://h', schema: a.txt }"),
      "/nodes/out/registry/schema GRAPH-SCHEMA the file of a schema ends in .avsc",
    ],
    [sink("{ url: 'http://h', register: true }"), "/nodes/out/registry/register GRAPH-SCHEMA only a `schema`"],
    [
      sink("{ url: 'http://h', subject: record }"),
      "/nodes/out/registry/subject GRAPH-SCHEMA a subject named by a record needs `record`",
    ],
    [
      sink("{ url: 'http://h', references: [{ name: b, subject: b, version: 1 }] }"),
      "/nodes/out/registry/references GRAPH-SCHEMA",
    ],
  ])("%s is %s", (nodes, problem) => {
    expect(problems(nodes)).toEqual([expect.stringContaining(problem)]);
  });

  it("must have its files", () => {
    expect(problems(sink("{ url: 'http://h', schema: a.avsc, ca: ca.pem }"), false)).toEqual([
      expect.stringContaining("/nodes/out/registry/schema GRAPH-FILE there is no file `a.avsc`"),
      expect.stringContaining("/nodes/out/registry/ca GRAPH-FILE there is no file `ca.pem`"),
    ]);
  });
});
