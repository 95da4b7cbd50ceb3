import { headers } from "nats";
import { describe, expect, test } from "vitest";
import type { PulledMessage } from "./pull-consumer.ts";
import { changeRow, headersJson } from "./row-decoder.ts";

const decode = (value: Uint8Array): never => JSON.parse(Buffer.from(value).toString()) as never;

function change(header: readonly [name: string, value: string] | undefined, body = "") {
  const said = headers();
  if (header !== undefined) said.set(...header);
  const message = { subject: "$KV.b.k", data: Buffer.from(body), headers: said, sequence: 1, timeMs: 0 };
  return changeRow("b")(message as unknown as PulledMessage, decode);
}

describe("a change of a bucket", () => {
  test("is a value, or what a client or the server says instead of one", () => {
    expect(change(undefined, "7")).toMatchObject({ key: "k", operation: "put", value: 7 });
    expect(change(["KV-Operation", "DEL"])).toMatchObject({ operation: "delete", value: null });
    expect(change(["KV-Operation", "PURGE"])).toMatchObject({ operation: "purge", value: null });
    expect(change(["Nats-Marker-Reason", "MaxAge"])).toMatchObject({ operation: "purge", value: null });
    expect(change(["Nats-Marker-Reason", "Purge"])).toMatchObject({ operation: "purge", value: null });
    expect(change(["Nats-Marker-Reason", "Remove"])).toMatchObject({ operation: "delete", value: null });
    expect(() => change(undefined)).toThrow("a message on $KV.b.k is no JSON");
  });
});

test("a header that is there several times has all its values", () => {
  const said = headers();
  said.set("one", "a");
  said.append("two", "b");
  said.append("two", "c");
  expect(headersJson(said)).toEqual({ one: "a", two: ["b", "c"] });
});
