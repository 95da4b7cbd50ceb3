import { describe, expect, test } from "vitest";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";

const problemsOf = (node: string): readonly string[] => {
  const parsed = parseGraph(`name: g
nodes:
  in:  ${node}
  out: { kind: sink, input: in, to: "discard:" }
`);
  return "problems" in parsed ? parsed.problems.map(formatProblem) : [];
};

const source = (rest: string): readonly string[] => problemsOf(`{ kind: source, ${rest} }`);

describe("a source at a web address", () => {
  test.each([
    `from: "https://api.example/orders?shop=1", format: ndjson, http: { every: 30s, next: link, id: order.id, allow: [10.0.0.0/8] }`,
    `from: "http://127.0.0.1:8080/x", http: { cron: "0 3 * * *", items: data.rows, cursor: { field: $.upTo, parameter: since } }`,
    `from: "https://h/x?key=\${env:KEY}", http: { auth: { type: bearer, token: "\${env:TOKEN}" }, headers: { x-a: b }, bytes: 1000, deadline: 5s }`,
    `from: "sse+https://h/live", http: { events: [order], envelope: true, silence: 30s, id: id }`,
    `from: "wss://h/live", http: { ack: true, send: ["go"] }`,
    `from: "ws://h/live", personal: { subject: who, fields: [mail] }`,
    `from: "http:/push", format: cloudevents`,
    `from: "sse+https://h/live", format: cloudevents`,
    `from: "kafka://h/t?envelope=true", format: cloudevents`,
  ])("%s is accepted", (rest) => {
    expect(source(rest)).toEqual([]);
  });

  test.each([
    [`from: "https://me:pw@h/x"`, /GRAPH-SCHEMA credentials belong under `http.auth`, not into the address/],
    [`from: "wss://"`, /GRAPH-SCHEMA `wss:\/\/` is no ws\(s\) address/],
    [`from: "ss+https://h/x"`, /GRAPH-SCHEMA unknown scheme `ss\+https:`; did you mean `sse\+https:`/],
    [
      `from: "https://h/x", time: at, speed: 2`,
      /GRAPH-CAP `speed`: an address that is polled does not tell the same messages again/,
    ],
    [`from: "wss://h/x", follow: true`, /GRAPH-CAP `follow`: what comes is always followed/],
    [`from: "wss://h/x", http: { every: 1s }`, /GRAPH-SCHEMA `every` is not for a WebSocket/],
    [`from: "https://h/x", http: { ack: true }`, /GRAPH-SCHEMA `ack` is not for an address that is polled/],
    [`from: "https://h/x", http: { every: 1s, cron: "* * * * *" }`, /GRAPH-SCHEMA `cron` takes the place of `every`/],
    [`from: "https://h/x", http: { cron: "* *" }`, /GRAPH-TIME a cron schedule has 5 fields/],
    [
      `from: "https://h/x", http: { next: link, cursor: { field: id, parameter: after } }`,
      /GRAPH-SCHEMA the next request is named by `next` or by `cursor`/,
    ],
    [`from: "https://h/x", http: { evry: 1s }`, /GRAPH-SCHEMA .*`evry`.*did you mean `every`/],
    [`from: "https://h/x", http: { auth: { type: bearer, token: plain } }`, /GRAPH-SCHEMA a secret is never written/],
    [`from: "https://h/x", http: { allow: [intranet] }`, /GRAPH-SCHEMA `intranet` is no network/],
    [`from: "https://h/x", secret: "\${env:K}"`, /GRAPH-CAP `secret`: only HTTP requests are signed/],
    [
      `from: "https://h/x", format: csv`,
      /GRAPH-CAP an address that is polled is not read as csv; possible are json, ndjson/,
    ],
    [`from: "file:x.ndjson", format: cloudevents`, /GRAPH-CAP file: has no CloudEvents/],
    [
      `from: "https://h/x", format: cloudevents, personal: { subject: a, fields: [b] }`,
      /GRAPH-CAP fields of events are not sealed/,
    ],
    [`from: "nats://h/core/x", http: { id: x }`, /GRAPH-CAP `http`: only addresses on the web are called/],
    [
      `from: "http:/push", time: at, speed: 2`,
      /GRAPH-CAP `speed`: what is pushed is not told again, .* read a stream, a table or a file/,
    ],
    [`from: "http:/push", idle: 1m`, /GRAPH-TIME `idle` needs the field with the event time; set `time`/],
    [`from: "file:x.csv", time: at, idle: 1m`, /GRAPH-CAP `idle`: a source that is read says by itself/],
    [`from: "kafka://h/t", time: at, idle: 1m`, /GRAPH-CAP `idle`: a source that is read says by itself/],
    [`from: "metronome:1s", idle: 1m`, /GRAPH-CAP `idle`: a metronome: source tells times in order/],
    [`from: "http:/push", follow: true`, /GRAPH-CAP `follow`: what comes is always followed/],
    [`from: "metronome:1s", watermark: 1s`, /GRAPH-CAP `watermark`: a metronome: source tells times in order/],
    [`from: "http:/push", http: { id: x }`, /GRAPH-CAP `http`: only addresses on the web are called/],
  ])("%s is refused", (rest, problem) => {
    expect(source(rest)).toEqual([expect.stringMatching(problem)]);
  });

  test.each(["http:/push", "https://h/x", "sse+https://h/x", "wss://h/x", "custom:./own.mjs"])(
    "from %s has event times",
    (from) => {
      expect(source(`from: "${from}", time: at, watermark: 10s, idle: 1m`)).toEqual([]);
    },
  );
});

describe("a sink on the web", () => {
  const sink = (rest: string): readonly string[] => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "metronome:1s" }
  out: { kind: sink, input: in, ${rest} }
`;
    const parsed = parseGraph(text);
    return "problems" in parsed ? parsed.problems.map(formatProblem) : [];
  };

  test("takes credentials, and whether messages are acknowledged", () => {
    expect(
      sink(`to: "wss://h/in", http: { ack: true, deadline: 5s, auth: { type: api-key, key: "\${env:K}" } }`),
    ).toEqual([]);
  });

  test("may be several hosts that are one service, and only those of some networks", () => {
    expect(sink(`to: "https://a.example,b.example:8443/in", http: { allow: [10.0.0.0/8] }`)).toEqual([]);
    expect(sink(`to: "https://\${env:A},\${env:B}/in"`)).toEqual([]);
  });

  test.each([
    [`to: "https://a.example,b:port/in"`, /GRAPH-SCHEMA `https:\/\/a.example,b:port\/in` is no URL/],
    [`to: "https://h/in", http: { ack: true }`, /GRAPH-SCHEMA `ack` is not for a webhook/],
    [`to: "https://h/in", http: { allow: [x] }`, /GRAPH-SCHEMA `x` is no network/],
    [`to: "ws://me@h/in"`, /GRAPH-SCHEMA credentials belong under `http.auth`/],
    [`to: "wss://h/in", http: { every: 1s }`, /GRAPH-SCHEMA/],
    [`to: "wss://h/in", http: { allow: [x] }`, /GRAPH-SCHEMA `x` is no network/],
    [`to: "https://h/in", cloudevents: { type: t }`, /GRAPH-SCHEMA `cloudevents` needs `format: cloudevents`/],
    [`to: "wss://h/in", format: cloudevents, cloudevents: { mode: binary }`, /GRAPH-CAP messages of wss: have no mode/],
    [`to: "redis://h/stream/s", format: cloudevents, cloudevents: { mode: binary }`, /messages of redis: have no mode/],
    [
      `to: "nats://h/kv/b", key: [k], format: cloudevents, cloudevents: { mode: binary }`,
      /messages of a bucket have no/,
    ],
    [
      `to: "mqtt://h/topic/t", format: cloudevents, cloudevents: { mode: batch }`,
      /only requests over HTTP hold several/,
    ],
    [
      `to: "kafka://h/t", format: cloudevents, cloudevents: { mode: binary }, registry: { url: "https://r.example" }`,
      /values of a schema registry have no mode/,
    ],
    [`to: "projection:p", format: cloudevents`, /GRAPH-CAP projection: has no CloudEvents/],
    [`to: "stdout:", http: { ack: true }`, /GRAPH-CAP `http`: only addresses on the web are called/],
  ])("%s is refused", (rest, problem) => {
    expect(sink(rest)).toEqual([expect.stringMatching(problem)]);
  });
});
