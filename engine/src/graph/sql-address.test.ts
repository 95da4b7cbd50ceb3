import { describe, expect, test } from "vitest";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";
import { parseMysqlAddress, parsePostgresAddress } from "./sql-address.ts";

describe("a postgres: address", () => {
  test("names servers in order, credentials, a database and a table", () => {
    const address = "//me:p%40ss@a,b:1/shop/table/Order%20lines?cursor=id&schema=eu&until=now&tls=verify&ca=x.pem";
    expect(parsePostgresAddress(address, "source")).toEqual({
      endpoints: ["a:5432", "b:1"],
      user: "me",
      password: "p@ss",
      path: ["shop", "table", "Order lines"],
      options: new Map(Object.entries({ cursor: "id", schema: "eu", until: "now", tls: "verify", ca: "x.pem" })),
      kind: "table",
      database: "shop",
      target: "Order lines",
    });
  });

  test.each([
    ["//", "source", "expected //host:port"],
    ["//a/shop", "sink", "expected a path /<database>/table/<name>"],
    ["//a/shop/tabel/x", "source", "/<database>/outbox/<name> or /<database>/cdc/<name>"],
    ["//a/shop/cdc/p", "source", "add `?slot=<name>`"],
    ["//a/shop/cdc/p?slot=A-b", "source", "option `slot`: expected 1 to 63 of the characters"],
    ["//a/shop/cdc/p?slot=s&temporary=true", "source", "add `gap=record`"],
    ["//a/shop/cdc/p?slot=s&temporary=true&gap=record&snapshot=initial", "source", "leave out `temporary`"],
    ["//a/shop/cdc/p?slot=s&snapshot=all", "source", "option `snapshot`"],
    ["//a/shop/cdc/p?slot=s&cursor=id", "source", "unknown option `cursor`"],
    ["//a/shop/cdc/p?slot=s", "sink", "expected a path /<database>/table/<name>"],
    ["//a/shop/tabel/x", "sink", "expected a path /<database>/table/<name>"],
    ["//a/shop/outbox/x", "sink", "expected a path /<database>/table/<name>, as in"],
    ["//a/shop/outbox/x?until=now", "source", "unknown option `until`"],
    ["//a/shop/table/x", "source", "add `?cursor=<column>`"],
    ["//a/shop/table/x?cursor=", "source", "option `cursor`: expected a name"],
    ["//a/shop/table/x?cursr=id", "source", "unknown option `cursr`; did you mean `cursor`?"],
    ["//a/shop/table/x?cursor=id", "sink", "unknown option `cursor`"],
    ["//a/shop/table/x?tls=on", "sink", "option `tls`: expected off or verify or unverified"],
    ["//a/shop/table/x?ca=x.pem", "sink", "option `ca` needs `tls=verify`"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parsePostgresAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test("of an outbox cannot be replayed", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "postgres://h/shop/outbox/x", time: at, speed: 2 }
  out: { kind: sink, input: in, to: "postgres://h/shop/table/y" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: an outbox's rows are gone/),
    ]);
  });

  test("of changes cannot be replayed", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "postgres://h/shop/cdc/x?slot=s&until=now", time: commitTime, speed: 2 }
  out: { kind: sink, input: in, to: "postgres://h/shop/table/y" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-CAP `speed`: a slot forgets what was confirmed/),
    ]);
  });

  test("is checked in the graph file, at its place", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "postgres://h/shop/table/orders", follow: true }
  out: { kind: sink, input: in, to: "postgers://h/shop/table/x" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-SCHEMA .*add `\?cursor=<column>`/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA unknown scheme `postgers:`; did you mean `postgres:`\?/),
    ]);
  });
});

describe("a mysql: address", () => {
  test("names a table of a database", () => {
    expect(parseMysqlAddress("//me:secret@db/shop/table/orders?cursor=id&tls=verify", "source")).toMatchObject({
      endpoints: ["db:3306"],
      user: "me",
      kind: "table",
      database: "shop",
      target: "orders",
    });
  });

  test.each([
    ["//a/shop", "sink", "expected a path /<database>/table/<name>, as in mysql://"],
    ["//a/shop/outbox/x", "source", "expected a path /<database>/table/<name>, as in"],
    ["//a/shop/table/x", "source", "add `?cursor=<column>`"],
    ["//a/shop/table/x?cursor=id&schema=s", "source", "unknown option `schema`"],
    ["//a/shop/table/x?tls=on", "sink", "option `tls`: expected off or verify or unverified"],
    ["//a,127.0.0.1/shop/table/x?tls=verify", "sink", "`tls=verify` needs names of hosts; 127.0.0.1:3306 is none"],
    ["//[::1]/shop/table/x?tls=verify", "sink", "[::1]:3306 is none"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseMysqlAddress(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test("is checked in the graph file, at its place", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "mysql://h/shop/table/orders" }
  out: { kind: sink, input: in, to: "mysql://h/shop/tabel/x" }
`;
    const parsed = parseGraph(text, { file: "g.yaml" });
    expect("problems" in parsed ? parsed.problems.map(formatProblem) : []).toEqual([
      expect.stringMatching(/^g\.yaml:3:\d+ GRAPH-SCHEMA .*add `\?cursor=<column>`/),
      expect.stringMatching(/^g\.yaml:4:\d+ GRAPH-SCHEMA .*expected a path \/<database>\/table\/<name>/),
    ]);
  });
});
