import { describe, expect, test } from "vitest";
import { parseGraph } from "./parse.ts";
import { formatProblem } from "./problem.ts";
import { parseS3Address } from "./s3-address.ts";

describe("an s3: address", () => {
  test("names a bucket, a prefix, services in order and credentials with whatever is in them", () => {
    const options = "endpoint=http://a:9000,https://b&region=eu-west-1&token=a+b/c=&poll=5s";
    expect(parseS3Address(`//id:se/cr+et=:@shop/a%20b/%23/?${options}`, "source")).toEqual({
      kind: "objects",
      bucket: "shop",
      prefix: "a b/#/",
      endpoints: ["http://a:9000", "https://b"],
      region: "eu-west-1",
      style: "path",
      credentials: { keyId: "id", secret: "se/cr+et=:", token: "a+b/c=" },
      options: new Map(
        Object.entries({ endpoint: "http://a:9000,https://b", region: "eu-west-1", token: "a b/c=", poll: "5s" }),
      ),
    });
  });

  test("without an endpoint is of AWS, where the bucket is part of the name unless it has dots", () => {
    const of = (address: string): unknown => parseS3Address(address, "sink");
    expect(of("//shop?region=eu-west-1")).toMatchObject({
      prefix: "",
      endpoints: ["https://s3.eu-west-1.amazonaws.com"],
      style: "host",
    });
    expect(of("//shop.example/a:b@c")).toMatchObject({ bucket: "shop.example", prefix: "a:b@c", style: "path" });
    expect(of("//shop.example?style=host")).toMatchObject({ style: "host" });
  });

  test.each([
    ["//", "source", "expected //bucket/prefix"],
    ["//id@shop/x", "source", "expected //bucket/prefix"],
    ["//Shop/x", "source", "is no name of a bucket"],
    ["//shop/%zz", "source", "two hex digits"],
    ["//shop/a/../b", "source", "cannot have steps"],
    ["//shop/x?format=xml", "source", "option `format`: expected ndjson or csv"],
    ["//shop/x?format=parquet", "sink", "option `format`: expected ndjson or csv"],
    ["//shop/x?delimiter=tab", "source", 'option `delimiter`: "tab" is no delimiter'],
    ["//shop/x?delimiter=\\t", "sink", "did you mean `%09`?"],
    ["//shop/x?format=json&delimiter=;", "source", "option `delimiter` needs `format=csv`"],
    ["//shop/x?delimiter=;", "sink", "option `delimiter` needs `format=csv`"],
    ["//shop/x?poll=5s", "sink", "unknown option `poll`"],
    ["//shop/x?size=12", "sink", "option `size`: expected a whole number"],
    ["//shop/x?endpoint=ftp://a", "source", "expected http://host:port"],
    ["//shop/x?endpoint=http://a/path", "source", "expected http://host:port"],
    ["//shop/x?endpoint=http://a&ca=x.pem", "source", "option `ca` needs https"],
  ] as const)("%s of a %s is refused", (address, side, fault) => {
    expect(parseS3Address(address, side)).toEqual({ fault: expect.stringContaining(fault) });
  });

  test("in a graph says its format itself, and what follows is read anyway; objects have no key", () => {
    const text = `name: g
nodes:
  in:  { kind: source, from: "s3://\${env:ID}:\${env:SECRET}@shop/x", format: csv, follow: true }
  out: { kind: sink, input: in, to: "s3://shop/y", key: [id] }
`;
    const parsed = parseGraph(text);
    const problems = "problems" in parsed ? parsed.problems.map(formatProblem) : [];
    expect(problems).toEqual([
      "graph:3:69 GRAPH-CAP `format`: write `format=csv` in the address",
      "graph:3:82 GRAPH-CAP `follow`: a broker's messages are always followed",
      "graph:4:52 GRAPH-SCHEMA `key`: a message for s3: has none",
    ]);
  });
});
