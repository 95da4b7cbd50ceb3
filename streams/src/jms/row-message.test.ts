import { type Json, reportOf } from "@millrace/engine";
import { describe, expect, test } from "vitest";
import { jsonEncoder } from "../format/json-format.ts";
import { type MessageOptions, messageOf } from "./row-message.ts";

const OPTIONS: MessageOptions = { body: "text", properties: [], bytesMax: 1000 };

const encode = await jsonEncoder.prepared();

function made(row: Json, options: Partial<MessageOptions> = {}) {
  return messageOf({ id: "g/s/l/1/0", row, ...encode(row) }, { ...OPTIONS, ...options });
}

function fault(make: () => unknown): unknown {
  try {
    return make();
  } catch (error) {
    return reportOf(error);
  }
}

describe("a row as a message", () => {
  test("has its body and its own id", () => {
    expect(made({ n: 1 })).toEqual({ bytes: Buffer.from('{"n":1}'), properties: { millrace_id: "g/s/l/1/0" } });
    expect(made({ n: 1, none: null }, { body: "map" })).toEqual({
      entries: { n: 1, none: null },
      properties: { millrace_id: "g/s/l/1/0" },
    });
  });

  test("has what the broker is to see of it, and nothing for what is not there", () => {
    const options = { priority: "urgency", correlation: "order", properties: ["region", "isNew"] };
    expect(made({ urgency: 9, order: 7, region: "eu", isNew: false }, options)).toMatchObject({
      priority: 9,
      correlation: "7",
      properties: { region: "eu", isNew: false, millrace_id: "g/s/l/1/0" },
    });
    const bare = made({ urgency: 0, order: null, region: null }, options);
    expect(bare).toMatchObject({ priority: 0, properties: { millrace_id: "g/s/l/1/0" } });
    expect(Object.keys(bare.properties)).toEqual(["millrace_id"]);
    expect(bare).not.toHaveProperty("correlation");
    expect(made({}, { priority: "3" }).priority).toBe(3);
  });

  test.each([
    [{ urgency: 10 }, { priority: "urgency" }, "urgency", "field `urgency` holds 10, which is no priority from 0 to 9"],
    [{ urgency: 1.5 }, { priority: "urgency" }, "urgency", "no priority"],
    [{}, { priority: "urgency" }, "urgency", "field `urgency` holds nothing"],
    [{ order: true }, { correlation: "order" }, "order", "no text or number"],
    [{ tags: [] }, { properties: ["tags"] }, "tags", "no text, number or truth value"],
    [{ lines: {} }, { body: "map" }, "lines", "no text, number or truth value"],
    // What an object has that is nobody's field.
    [{}, { priority: "toString" }, "toString", "holds nothing"],
  ] as const)("%j with %j is refused by its field", (row, options, field, message) => {
    expect(fault(() => made(row, options))).toMatchObject({
      code: "JMS-ROW",
      kind: "rejected",
      message: expect.stringContaining(message),
      details: { field },
    });
  });

  test("is refused where it cannot be a map, or is too long", () => {
    expect(fault(() => made([1], { body: "map" }))).toMatchObject({ code: "JMS-ROW" });
    expect(made("x".repeat(998))).toHaveProperty("bytes");
    expect(fault(() => made("x".repeat(999)))).toMatchObject({
      code: "JMS-TOO-LARGE",
      message: "a message has 1001 bytes, and `jms.bytesMax` is 1000",
    });
  });
});
