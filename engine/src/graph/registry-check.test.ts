import { describe, expect, it } from "vitest";
import { parseGraph } from "./parse.ts";

const SECRET = `'\${env:P}'`;

const problems = (nodes: string, exists = true): readonly string[] => {
  const parsed = parseGraph(`name: g\nnodes:\n${nodes}`, { fileExists: () => exists });
  return "graph" in parsed ? [] : parsed.problems.map(({ path, code, message }) => `${path} ${code} ${message}`);
};
const source = (registry: string, from = "kafka://h/t", also = ""): string =>
  `  in: { kind: source, from: "${from}", registry: ${registry}${also} }\n  out: { kind: sink, input: in, to: "discard:" }`;
const sink = (registry: string, to = "kafka://h/t", also = ""): string =>
  `  in: { kind: source, from: "kafka://h/t" }\n  out: { kind: sink, input: in, to: "${to}", registry: ${registry}${also} }`;
const HERE = "{ url: 'http://h' }";
const JMS = ", jms: { factory: a.B, classPath: [a.jar] }";
const EVENTS = ", format: cloudevents";

describe("a schema registry", () => {
  it.each([
    source("{ url: 'http://h:8081' }"),
    source(`{ url: 'https://a/base, https://b', auth: { type: basic, user: u, password: ${SECRET} }, ca: ca.pem }`),
    source(`{ url: "http://\${env:HOST}:8081", auth: { type: bearer, token: ${SECRET} }, allow: ['10.0.0.0/8'] }`),
    sink("{ url: 'http://h' }"),
    sink("{ url: 'http://h', schema: a.avsc, register: true, subject: record }"),
    sink("{ url: 'http://h', record: a.B, subject: topic-record }"),
    ...["nats://h/core/s", "nats://h/jetstream/s", "nats://h/kv/b", "redis://h/stream/s", "redis://h/channel/c"].map(
      (from) => source(HERE, from),
    ),
    ...[
      "rabbitmq://h/queue/q",
      "rabbitmq://h/stream/s",
      "mqtt://h/topic/t",
      "amqp10://h/queue/q",
      "activemq://h/topic/t",
    ].map((from) => source(HERE, from)),
    ...[
      "nats://h/core/s",
      "rabbitmq://h/exchange/x",
      "mqtt://h/topic/t",
      "amqp10://h/queue/q",
      "redis://h/stream/s",
    ].map((to) => sink(HERE, to)),
    sink(HERE, "redis://h/key/k:", ", key: [n]"),
    source(HERE, "jms://h:1/queue/q", JMS),
    sink(HERE, "jms://h:1/queue/q?body=bytes", JMS),
    sink(HERE, "nats://h/core/s", EVENTS),
    sink("{ url: 'http://h', schema: a.proto, references: [{ name: b.proto, subject: b, version: 1 }] }"),
  ])("may be %s", (nodes) => {
    expect(problems(nodes)).toEqual([]);
  });

  it.each<[string, string]>([
    [
      source(HERE, "http:/orders"),
      "/nodes/in/registry GRAPH-CAP `registry`: only messages of kafka:, nats:, rabbitmq:, mqtt:, amqp10:, activemq:, jms: and redis: carry",
    ],
    [source(HERE, "mem:q"), "/nodes/in/registry GRAPH-CAP"],
    [source(HERE, "memredis:stream/s"), "/nodes/in/registry GRAPH-CAP"],
    [
      source(HERE, "redis://h/stream/s?field=*"),
      "/nodes/in/registry GRAPH-CAP `registry`: fields of an entry are texts",
    ],
    [sink(HERE, "postgres://h/d/table/t"), "/nodes/out/registry GRAPH-CAP"],
    [
      sink(HERE, "jms://h:1/queue/q?body=map", JMS),
      "/nodes/out/registry GRAPH-CAP `registry`: messages by a schema are bytes, and the address says `body=map`",
    ],
    [
      sink(HERE, "nats://h/core/s", `${EVENTS}, cloudevents: { mode: binary }`),
      "/nodes/out/cloudevents/mode GRAPH-CAP values of a schema registry have no mode",
    ],
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
