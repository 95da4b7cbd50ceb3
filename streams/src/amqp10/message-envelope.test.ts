import { expect, test } from "vitest";
import { envelopeOf } from "./message-envelope.ts";

test("an envelope has of each property what JSON can say, also of a time that no calendar has", () => {
  const properties = { at: new Date(0), never: new Date(Number.NaN), bytes: Buffer.from("a"), none: Number.NaN, n: 1 };
  const message = { message_id: "m", application_properties: properties, body: "" };
  expect(envelopeOf(message as never, { address: "q" })(7)).toEqual({
    address: "q",
    id: "m",
    subject: null,
    priority: 4,
    redelivered: false,
    contentType: null,
    properties: { at: "1970-01-01T00:00:00.000Z", never: null, bytes: { base64: "YQ==" }, none: "NaN", n: 1 },
    data: 7,
  });
});
