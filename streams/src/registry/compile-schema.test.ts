import { type Json, reportOf } from "@millrace/engine";
import avsc from "avsc";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileSchema } from "./compile-schema.ts";
import { ValueFault } from "./errors.ts";
import type { SchemaCodec, SchemaText } from "./schema-codec.ts";

const avro = (schema: Json, references: SchemaText["references"] = [], record?: string): Promise<SchemaCodec> =>
  compileSchema({ type: "AVRO", schema: JSON.stringify(schema), references }, record);
const protobuf = (schema: string, record?: string, references: SchemaText["references"] = []): Promise<SchemaCodec> =>
  compileSchema({ type: "PROTOBUF", schema: `syntax = "proto3";\n${schema}`, references }, record);
const jsonSchema = (schema: Json): Promise<SchemaCodec> =>
  compileSchema({ type: "JSON", schema: JSON.stringify(schema), references: [] });

const again = (codec: SchemaCodec, row: Json): Json => codec.decode(codec.encode(row));
const faultOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    const { path, message } = error as { path: string; message: string };
    return `${path}: ${message}`;
  }
  return "no fault";
};
const field = (type: Json): Json => ({ type: "record", name: "R", fields: [{ name: "v", type }] });

describe("an Avro schema", () => {
  it.each<[string, Json, Json]>([
    ["a long that a number holds", "long", Number.MAX_SAFE_INTEGER],
    ["a long beyond", "long", "9223372036854775807"],
    ["the least long", "long", "-9223372036854775808"],
    ["an int", "int", -(2 ** 31)],
    ["a double", "double", 0.1],
    ["a double that is not finite", "double", "-Infinity"],
    ["a float", "float", 1.5],
    ["bytes", "bytes", "AP8="],
    ["a fixed", { type: "fixed", name: "F", size: 2 }, "AP8="],
    ["an enum", { type: "enum", name: "E", symbols: ["A", "B"] }, "B"],
    ["a list", { type: "array", items: "long" }, [1, "-9007199254740992", 3]],
    ["an empty list", { type: "array", items: "long" }, []],
    ["a map", { type: "map", values: "boolean" }, { a: true, __proto__x: false, "": true }],
    ["a text", "string", "é\u0000😀"],
    ["null of an optional", ["null", "long"], null],
    ["an optional", ["null", "long"], 7],
    ["a branch", ["null", "string", "long"], { long: 7 }],
    ["another branch", ["null", "string", "long"], { string: "7" }],
    ["a decimal", { type: "bytes", logicalType: "decimal", precision: 30, scale: 4 }, "-12345678901234567890.1200"],
    ["a small decimal", { type: "bytes", logicalType: "decimal", precision: 4, scale: 4 }, "0.0001"],
    [
      "a fixed decimal",
      { type: "fixed", name: "D", size: 8, logicalType: "decimal", precision: 10, scale: 2 },
      "-1.05",
    ],
    ["a date", { type: "int", logicalType: "date" }, "1969-12-31"],
    ["a time", { type: "int", logicalType: "time-millis" }, "23:59:59.999"],
    ["a finer time", { type: "long", logicalType: "time-micros" }, "00:00:00.000001"],
    ["an instant", { type: "long", logicalType: "timestamp-millis" }, "1969-12-31T23:59:59.999Z"],
    ["a finer instant", { type: "long", logicalType: "timestamp-micros" }, "2262-04-12T00:00:00.000001Z"],
    ["the finest instant", { type: "long", logicalType: "timestamp-nanos" }, "2026-01-02T03:04:05.000000001Z"],
    ["a local time", { type: "long", logicalType: "local-timestamp-micros" }, "2026-01-02T03:04:05.000001"],
    ["a uuid", { type: "string", logicalType: "uuid" }, "123e4567-e89b-12d3-a456-426614174000"],
    [
      "a fixed uuid",
      { type: "fixed", name: "U", size: 16, logicalType: "uuid" },
      "123e4567-e89b-12d3-a456-426614174000",
    ],
    [
      "a duration",
      { type: "fixed", name: "P", size: 12, logicalType: "duration" },
      { months: 1, days: 2, millis: 4294967295 },
    ],
    ["an optional decimal", ["null", { type: "bytes", logicalType: "decimal", precision: 9, scale: 2 }], "1.10"],
    ["a logical type that is none", { type: "string", logicalType: "made-up" }, "x"],
  ])("keeps %s", async (_name, type, value) => {
    expect(again(await avro(field(type)), { v: value })).toEqual({ v: value });
  });

  it("takes a value without its branch's name where only one can take it, and defaults and nulls for what is not there", async () => {
    const fields = [
      { name: "u", type: ["string", "long"] },
      { name: "d", type: "int", default: 7 },
      { name: "n", type: ["null", "string"] },
    ];
    expect(again(await avro({ type: "record", name: "R", fields }), { u: 5 })).toEqual({
      u: { long: 5 },
      d: 7,
      n: null,
    });
  });

  it("writes defaults of logical types and unions as the schema says them", async () => {
    const fields = [
      { name: "day", type: { type: "int", logicalType: "date" }, default: 1 },
      {
        name: "price",
        type: { type: "bytes", logicalType: "decimal", precision: 4, scale: 2 },
        default: "\u0001\u0000",
      },
      { name: "at", type: [{ type: "long", logicalType: "timestamp-millis" }, "null"], default: 5 },
      { name: "inner", type: { type: "record", name: "I", fields: [{ name: "x", type: "int" }] }, default: { x: 7 } },
    ];
    expect(again(await avro({ type: "record", name: "R", fields }), {})).toEqual({
      day: "1970-01-02",
      price: "2.56",
      at: "1970-01-01T00:00:00.005Z",
      inner: { x: 7 },
    });
  });

  it("takes numbers for times, and times with an offset", async () => {
    const codec = await avro(field({ type: "long", logicalType: "timestamp-millis" }));
    expect(again(codec, { v: 1 })).toEqual({ v: "1970-01-01T00:00:00.001Z" });
    expect(again(codec, { v: "2026-01-02T03:04:05+01:30" })).toEqual({ v: "2026-01-02T01:34:05.000Z" });
  });

  it("may refer to itself and to others, and is named by what it says", async () => {
    const node = { type: "record", name: "a.Node", fields: [{ name: "next", type: ["null", "a.Node"] }] };
    const list = { type: "record", name: "a.List", fields: [{ name: "first", type: "a.Node" }] };
    const codec = await avro(list, [{ name: "a.Node", schema: JSON.stringify(node) }]);
    const row = { first: { next: { next: null } } };
    expect([codec.record, again(codec, row)]).toEqual(["a.List", row]);
  });

  it.each<[string, Json, Json, string]>([
    ["a missing field", "string", {}, "$.v: expected a text, got nothing"],
    [
      "a text for a long",
      "long",
      { v: "x" },
      '$.v: expected a whole number from -9223372036854775808 to 9223372036854775807, got "x"',
    ],
    ["a long that is too large", "long", { v: "9223372036854775808" }, "$.v: expected a whole number"],
    ["a number that is not exact", "long", { v: 2 ** 53 }, "$.v: expected a whole number"],
    ["a symbol", { type: "enum", name: "E", symbols: ["A"] }, { v: "B" }, '$.v: expected one of A, got "B"'],
    ["a field too many", "int", { v: 1, w: 2 }, "$.w: the schema has no such field"],
    [
      "deep inside",
      { type: "array", items: { type: "map", values: "int" } },
      { v: [{}, { "a b": "x" }] },
      '$.v[1]["a b"]: expected',
    ],
    ["digits", { type: "bytes", logicalType: "decimal", precision: 4, scale: 2 }, { v: "1.234" }, "$.v: "],
    ["precision", { type: "bytes", logicalType: "decimal", precision: 4, scale: 2 }, { v: "123.45" }, "$.v: "],
    ["a day that is none", { type: "int", logicalType: "date" }, { v: "2026-02-30" }, "$.v: expected a date"],
    [
      "digits of a time",
      { type: "long", logicalType: "timestamp-millis" },
      { v: "2026-01-02T03:04:05.0001Z" },
      "$.v: ",
    ],
    ["no branch", ["string", "long"], { v: true }, "$.v: none of the branches string, long takes true"],
    ["several branches", ["string", "bytes"], { v: "AAAA" }, "$.v: several branches, string, bytes, take"],
    ["bytes", "bytes", { v: "_" }, "$.v: expected bytes as base64"],
    ["a float that is too large", "float", { v: 1e300 }, "$.v: 1e+300 is too large for 32 bits"],
    ["no record", "int", 5, "$: expected an object, got 5"],
  ])("refuses %s, with its path", async (_name, type, row, fault) => {
    const codec = await avro(field(type));
    expect(faultOf(() => codec.encode(row))).toContain(fault);
  });

  it.each<[string, Json, string, string]>([
    ["an end that comes early", "string", "0861", "$.v: it ends early"],
    ["bytes that are left over", "int", "0200", "$: 1 bytes are left over"],
    ["more items than bytes", { type: "array", items: "int" }, "808080801002", "$.v[0]: it has more items than bytes"],
    ["a list that ends early", { type: "array", items: "int" }, "0602", "$.v[1]: it ends early"],
    [
      "more empty items than bytes",
      { type: "array", items: "null" },
      "8080808010",
      "$.v[0]: it has more items than bytes",
    ],
    ["a negative length", "string", "01", "$.v: -1 is no length"],
    ["a number of more than 64 bits", "long", "ffffffffffffffffffffff01", "$.v: a number has more than 64 bits"],
    ["a symbol that is not there", { type: "enum", name: "E", symbols: ["A"] }, "02", "$.v: an enum has no symbol 1"],
    ["a branch that is not there", ["null", "int"], "04", "$.v: a union has no branch 2"],
    ["a text that is none", "string", "02ff", "$.v: a text is no UTF-8"],
    ["a truth value that is none", "boolean", "02", "$.v: 2 is neither true nor false"],
  ])("refuses %s, soon", async (_name, type, bytes, fault) => {
    const codec = await avro(field(type));
    expect(faultOf(() => codec.decode(Buffer.from(bytes, "hex")))).toContain(fault);
  });

  it("refuses what is nested without end", async () => {
    const codec = await avro({ type: "record", name: "N", fields: [{ name: "n", type: ["null", "N"] }] });
    const deep = Buffer.concat([Buffer.alloc(100_000, 2), Buffer.alloc(1)]);
    expect(faultOf(() => codec.decode(deep))).toMatch(/nested more than 200 deep/);
  });
});

describe("Avro's bytes", () => {
  const schema = {
    type: "record",
    name: "R",
    fields: [
      { name: "int", type: "int" },
      { name: "long", type: "long" },
      { name: "double", type: "double" },
      { name: "text", type: "string" },
      { name: "flag", type: "boolean" },
      { name: "symbol", type: { type: "enum", name: "E", symbols: ["A", "B", "C"] } },
      { name: "list", type: { type: "array", items: { type: "map", values: "long" } } },
      {
        name: "branch",
        type: ["null", "string", "long", { type: "record", name: "S", fields: [{ name: "s", type: "string" }] }],
      },
    ],
  };
  // Beyond, avsc loses the last bit.
  const half = fc.maxSafeInteger().map((n) => Math.trunc(n / 2) + 0);
  const row = fc.record({
    int: fc.integer(),
    long: half,
    double: fc.double({ noNaN: true, noDefaultInfinity: true }),
    text: fc.string({ unit: "grapheme" }),
    flag: fc.boolean(),
    symbol: fc.constantFrom("A", "B", "C"),
    list: fc.array(fc.dictionary(fc.string(), half, { noNullPrototype: true }), { maxLength: 4 }),
    branch: fc.oneof(
      fc.constant(null),
      fc.record({ string: fc.string() }),
      fc.record({ long: half }),
      fc.record({ S: fc.record({ s: fc.string() }) }),
    ),
  });

  it("are those that avsc writes", async () => {
    const codec = await avro(schema);
    const type = avsc.Type.forSchema(schema as avsc.Schema, { wrapUnions: true });
    fc.assert(
      fc.property(row, (value) => {
        const bytes = codec.encode(value as Json);
        expect(Buffer.from(bytes)).toEqual(type.toBuffer(value));
        expect(codec.decode(bytes)).toEqual(value);
      }),
    );
  });

  it("are refused as a whole or read as a whole, whatever they are; and so are Protobuf's", async () => {
    const codecs = [await avro(schema), await protobuf(ORDER, "shop.v1.Order")];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const codec of codecs)
          try {
            codec.encode(codec.decode(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(ValueFault);
          }
      }),
    );
  });
});

const ORDER = `
package shop.v1;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "confluent/type/decimal.proto";
message Line { string sku = 1; }
message Order {
  string id = 1;
  uint64 big = 2;
  sint64 small = 3;
  map<int64, Line> lines = 4;
  repeated int32 numbers = 5;
  optional int32 maybe = 6;
  oneof how { string card = 7; bytes cash = 8; }
  enum State { NEW = 0; PAID = 1; }
  State state = 9;
  google.protobuf.Timestamp at = 10;
  google.protobuf.Duration took = 11;
  google.protobuf.Value any = 12;
  google.protobuf.StringValue note = 13;
  confluent.type.Decimal price = 14;
  float part = 15;
  map<bool, string> flags = 16;
  message Inner { fixed64 f = 1; }
  Inner inner_one = 17;
}
message Other { Order order = 1; }`;

describe("a Protobuf schema", () => {
  const least = { id: "", big: 0, small: 0, lines: {}, numbers: [], state: "NEW", part: 0, flags: {} };
  const most = {
    ...least,
    id: "é",
    big: "18446744073709551615",
    small: "-9223372036854775808",
    lines: { "9223372036854775807": { sku: "a" }, "-1": { sku: "" } },
    numbers: [1, -2],
    maybe: 0,
    cash: "AP8=",
    state: "PAID",
    at: "1969-12-31T23:59:59.000000001Z",
    took: "-1.500s",
    any: { a: [1, null, "x", { b: true }] },
    note: "",
    price: "-12.30",
    part: "NaN",
    flags: { true: "t", false: "f" },
    inner_one: { f: "18446744073709551615" },
  };

  it.each<[string, Json]>([
    ["the least that a message says", least],
    ["the most", most],
    ["a number of an enum that has no name", { ...least, state: 7 }],
    ["a value that is null", { ...least, any: null }],
  ])("keeps %s", async (_name, row) => {
    expect(again(await protobuf(ORDER, "shop.v1.Order"), row)).toEqual(row);
  });

  it("takes defaults for what is not there", async () => {
    expect(again(await protobuf(ORDER, "shop.v1.Order"), { card: null })).toEqual(least);
  });

  it("says by indexes which message of the file it is", async () => {
    const [first, inner, other] = await Promise.all(
      [undefined, "shop.v1.Order.Inner", "shop.v1.Other"].map((name) => protobuf(ORDER, name)),
    );
    const bytes = inner?.encode({ f: 1 }) ?? new Uint8Array();
    expect(Buffer.from(bytes.subarray(0, 3)).toString("hex")).toBe("040200");
    expect(first?.decode(bytes)).toEqual({ f: 1 });
    expect(Buffer.from(first?.encode({ sku: "a" }) ?? []).toString("hex")).toBe("000a0161");
    expect(other?.record).toBe("shop.v1.Other");
    expect(faultOf(() => first?.decode(Buffer.from("021400", "hex")))).toContain("no message at 10");
  });

  it("takes files that it imports, also for options", async () => {
    const references = [
      { name: "money.proto", schema: 'syntax = "proto3"; package m; message Money { int64 cents = 1; }' },
    ];
    const text = `import "money.proto"; import "google/protobuf/descriptor.proto";
      extend google.protobuf.FieldOptions { string unit = 50000; }
      message Bill { m.Money sum = 1 [(unit) = "EUR"]; }`;
    const codec = await protobuf(text, undefined, references);
    expect([codec.record, again(codec, { sum: { cents: 5 } })]).toEqual(["Bill", { sum: { cents: 5 } }]);
  });

  it.each<[string, Json, string]>([
    ["a field too many", { ID: "x" }, "$.ID: the schema has no such field"],
    ["a negative number", { big: -1 }, "$.big: expected a whole number from 0"],
    ["deep inside", { lines: { "5": { sku: 5 } } }, '$.lines["5"].sku: expected a text, got 5'],
    ["a key", { lines: { x: {} } }, "$.lines: expected a whole number"],
    ["a list's item", { numbers: [1, "x"] }, "$.numbers[1]: expected a whole number"],
    ["two of a oneof", { card: "x", cash: "AA==" }, "$: only one of card, cash can be set"],
    ["a symbol", { state: "GONE" }, "$.state: expected one of NEW, PAID"],
    ["a time", { at: "yesterday" }, "$.at: expected a time"],
    ["a float that is too large", { part: 1e300 }, "$.part: 1e+300 is too large"],
  ])("refuses %s, with its path", async (_name, row, fault) => {
    const codec = await protobuf(ORDER, "shop.v1.Order");
    expect(faultOf(() => codec.encode(row))).toContain(fault);
  });

  it("refuses bytes that are no message, and none that are nested without end", async () => {
    const codec = await protobuf("message A { A a = 1; string s = 2; }");
    expect(faultOf(() => codec.decode(Buffer.from("00ffffff", "hex")))).toContain("it is no A");
    let deep = Buffer.alloc(0);
    for (let i = 0; i < 3000; i++) {
      const length: number[] = [];
      for (let n = deep.length; ; n >>= 7) {
        length.push(n > 127 ? (n & 127) | 128 : n);
        if (n <= 127) break;
      }
      deep = Buffer.concat([Buffer.of(10, ...length), deep]);
    }
    expect(faultOf(() => codec.decode(Buffer.concat([Buffer.of(0), deep])))).toContain("it is no A");
  });
});

describe("a JSON Schema", () => {
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Order",
    type: "object",
    properties: {
      id: { type: "integer" },
      at: { type: "string", format: "date-time" },
      tags: { items: { type: "string" } },
    },
    required: ["id"],
    additionalProperties: false,
  };

  it.each([
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
  ])("of %s is checked both ways", async ($schema) => {
    const codec = await jsonSchema({ ...schema, $schema });
    const row = { id: 1, at: "2026-01-02T03:04:05Z", tags: ["a"] };
    expect([codec.record, again(codec, row)]).toEqual(["Order", row]);
    expect(faultOf(() => codec.encode({}))).toContain("$.id: must have required property");
    expect(faultOf(() => codec.encode({ id: 1, x: 2 }))).toContain("$.x: must NOT have additional properties");
    expect(faultOf(() => codec.decode(Buffer.from('{"id":1,"tags":["a",2]}')))).toContain("$.tags[1]: must be string");
    expect(faultOf(() => codec.decode(Buffer.from("{")))).toContain("it is no JSON");
  });

  it.each<[string, string, string | undefined, string, string | undefined]>([
    ["its name", "address.json", undefined, "address.json", undefined],
    ["its name, beside its own address", "address.json", undefined, "address.json", "https://e/other.json"],
    ["its name below the address of the schema", "address.json", "https://e/order.json", "address.json", undefined],
    ["its name, with the same as its address", "address.json", "https://e/order.json", "address.json", "address.json"],
    ["its name, with an address elsewhere", "address.json", "https://e/order.json", "address.json", "https://x/y.json"],
    ["its own address", "https://e/address.json", "https://e/order.json", "address", "https://e/address.json"],
  ])("refers to another schema by %s", async (_, ref, id, name, own) => {
    const withId = (schema: Json & object, $id: string | undefined) =>
      JSON.stringify({ ...($id === undefined ? {} : { $id }), ...schema });
    const other = withId({ type: "object", required: ["zip"] }, own);
    const text = withId({ type: "object", properties: { to: { $ref: ref } } }, id);
    const codec = await compileSchema({ type: "JSON", schema: text, references: [{ name, schema: other }] });
    expect(again(codec, { to: { zip: "1" } })).toEqual({ to: { zip: "1" } });
    expect(faultOf(() => codec.encode({ to: {} }))).toContain("$.to.zip: must have required property");
  });

  it("gives integers that a number would not hold as texts", async () => {
    const codec = await jsonSchema(schema);
    expect(codec.decode(Buffer.from('{"id":9007199254740993,"tags":["12345678901234567890"]}'))).toEqual({
      id: "9007199254740993",
      tags: ["12345678901234567890"],
    });
    expect(codec.decode(Buffer.from('{"id":9007199254740991}'))).toEqual({ id: 9007199254740991 });
  });
});

it.each<[string, SchemaText]>([
  ["Avro that is none", { type: "AVRO", schema: '{"type":"record"}', references: [] }],
  ["Protobuf that is none", { type: "PROTOBUF", schema: "message {", references: [] }],
  [
    "Protobuf without what it imports",
    { type: "PROTOBUF", schema: 'syntax="proto3"; import "b.proto"; message A { B b = 1; }', references: [] },
  ],
  ["JSON Schema that is none", { type: "JSON", schema: '{"type":"nothing"}', references: [] }],
  ["a type that is not known", { type: "THRIFT" as never, schema: "", references: [] }],
])("refuses %s", async (_name, text) => {
  expect(await compileSchema(text).catch(reportOf)).toMatchObject({ code: "REGISTRY-SCHEMA", kind: "rejected" });
});
