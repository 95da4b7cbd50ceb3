import { expect, test } from "vitest";
import { parseMemredisAddress } from "./memredis-address.ts";
import { parseGraph } from "./parse.ts";

test("a memredis: address names a stream or a channel", () => {
  expect(parseMemredisAddress("stream/orders?gap=stop&field=body", "source")).toEqual({
    kind: "stream",
    target: "orders",
    options: new Map([
      ["gap", "stop"],
      ["field", "body"],
    ]),
  });
  expect(parseMemredisAddress("channel/news", "sink")).toMatchObject({ kind: "channel", target: "news" });
});

test.each(["", "orders", "key/orders", "//host/stream/orders", "stream/a/b", "stream/"])(
  "memredis:%s is refused",
  (address) => {
    expect(parseMemredisAddress(address, "source")).toEqual({
      fault: expect.stringContaining("as in memredis:stream/orders"),
    });
  },
);

test("options are those of the kind and the side", () => {
  expect(parseMemredisAddress("channel/news?gap=stop", "source")).toEqual({
    fault: expect.stringContaining("unknown option `gap`"),
  });
  expect(parseMemredisAddress("stream/s?until=now", "sink")).toEqual({
    fault: expect.stringContaining("unknown option `until`"),
  });
});

test("a graph may have event time from a stream of the process, and no key for its messages", () => {
  const parsed = parseGraph(`name: g
nodes:
  in:  { kind: source, from: "memredis:stream/a", time: at }
  out: { kind: sink, input: in, to: "memredis:channel/b", key: [id] }
`);
  expect("problems" in parsed && parsed.problems.map(({ code, message }) => `${code} ${message}`)).toEqual([
    expect.stringMatching(/GRAPH-SCHEMA `key`: a message for memredis: has none/),
  ]);
});
