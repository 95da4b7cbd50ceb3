/** What may be asked of a method, as its description says. */
import type { JsonObject } from "@millrace/engine";
import { describe, expect, test } from "vitest";
import { checkSinkFields, checkSourceFields } from "../../src/grpc/field-check.ts";
import { serviceMethod } from "../../src/grpc/mod.ts";
import { type BoxMethod, boxMethod } from "./grpc-box.ts";

const placeOf = (...keys: readonly string[]) => ({ path: keys.join("/") });
const PLACES = { description: { path: "proto" }, address: { path: "address" } };

function faultOf(check: () => unknown): unknown {
  try {
    check();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("a description", () => {
  test.each([
    ["service Box {", "the description of the service cannot be used", "proto"],
    ['syntax = "proto3"; message A { B b = 1; } service S { rpc M(A) returns (A); }', "no such", "proto"],
    ['syntax = "proto3"; import "b.proto"; message A {} service S { rpc M(B) returns (A); }', "no such", "proto"],
    ['syntax = "proto3"; message A {}', "there is no service S in its description; there are none", "address"],
    ['syntax = "proto3"; message A {} service S { rpc N(A) returns (A); }', "no method M; it has N", "address"],
  ])("%s is refused: %s", (text, message, path) => {
    expect(faultOf(() => serviceMethod({ text, imported: () => undefined }, "S", "M", PLACES))).toMatchObject({
      code: "GRPC-SCHEMA",
      message: expect.stringContaining(message),
      place: { path },
    });
  });

  test("no set of descriptors is refused", () => {
    expect(faultOf(() => serviceMethod({ set: Buffer.from("no") }, "S", "M", PLACES))).toMatchObject({
      code: "GRPC-SCHEMA",
      place: { path: "proto" },
    });
    expect(faultOf(() => serviceMethod({ set: Buffer.alloc(0) }, "S", "M", PLACES))).toMatchObject({
      message: expect.stringContaining("it holds no file"),
    });
  });

  test("imports are found, also of imports", () => {
    const files = new Map([
      ["b.proto", 'syntax = "proto3"; import "c.proto"; package b; message B { c.C c = 1; }'],
      ["c.proto", 'syntax = "proto3"; package c; message C { int32 n = 1; }'],
    ]);
    const text = 'syntax = "proto3"; import "b.proto"; package a; service S { rpc M(b.B) returns (stream b.B); }';
    const method = serviceMethod({ text, imported: (name) => files.get(name) }, "a.S", "M", PLACES);
    expect(method).toMatchObject({ path: "/a.S/M", takesMany: false, givesMany: true });
    expect(method.answer.decode(method.request.encode({ c: { n: 7 } }))).toEqual({ c: { n: 7 } });
  });
});

describe("what a graph asks of a method", () => {
  test("what is required may be what a cursor fills in, but all else must be right", () => {
    const text =
      'syntax = "proto2"; message A { required int32 n = 1; optional int32 m = 2; } service S { rpc M(A) returns (A); }';
    const method = serviceMethod({ text, imported: () => undefined }, "S", "M", PLACES);
    const check = (request: JsonObject): unknown => faultOf(() => checkSourceFields({ method, request }, placeOf));
    expect(check({ m: 1 })).toBeUndefined();
    expect(check({ m: "x" })).toMatchObject({ code: "GRPC-SCHEMA", message: expect.stringContaining("$.m") });
  });

  test.each<[BoxMethod, object, string, string]>([
    ["Load", {}, "takes a stream", ""],
    ["Follow", { request: { behind: 1 } }, "$.behind", "request"],
    ["Follow", { items: "id" }, "`id` is no list", "items"],
    ["List", { items: "rows" }, "test.Page has no field `rows`", "items"],
    [
      "List",
      { items: "items", cursor: { field: "n", request: "after" } },
      "test.Item has no field `n`",
      "cursor/field",
    ],
    ["List", { cursor: { field: "items.id", request: "after" } }, "has no field `items.id`", "cursor/field"],
    ["Follow", { cursor: { field: "id", request: "from" } }, "test.Ask has no field `from`", "cursor/request"],
    [
      "Follow",
      { cursor: { field: "name", request: "after" } },
      "takes a whole number, but `name` is string",
      "cursor/request",
    ],
  ])("a source of %s with %o: %s", (method, options, message, path) => {
    const fault = faultOf(() => checkSourceFields({ method: boxMethod(method), ...options }, placeOf));
    expect(fault).toMatchObject({ code: "GRPC-SCHEMA", message: expect.stringContaining(message), place: { path } });
  });

  test.each<[BoxMethod, object, string, string]>([
    ["Follow", {}, "answers one request with a stream", ""],
    ["Put", { message: "key" }, "`key` is no message", "message"],
    ["Put", { message: "row" }, "test.Put has no field `row`", "message"],
    ["Put", { id: "item.id" }, "`item.id` is no text", "id"],
    ["Put", { id: "key", ack: "key" }, "`ack` is for methods that stream both ways", "ack"],
    ["Load", { refused: "refused" }, "`refused` is for methods that stream both ways", "refused"],
    ["Sync", { ack: "key" }, "`ack` needs `id`", "ack"],
    ["Sync", { id: "key", ack: "id" }, "test.Ack has no field `id`", "ack"],
  ])("a sink of %s with %o: %s", (method, options, message, path) => {
    const fault = faultOf(() => checkSinkFields({ method: boxMethod(method), sink: "g/s", ...options }, placeOf));
    expect(fault).toMatchObject({ code: "GRPC-SCHEMA", message: expect.stringContaining(message), place: { path } });
  });
});
