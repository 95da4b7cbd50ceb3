import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { graphFormat } from "./schema.ts";

test("the published JSON Schema is the one that files are checked against (update with `npm run unit -- --update`)", async () => {
  const published = `${JSON.stringify(graphFormat, undefined, 2)}\n`;
  await expect(published).toMatchFileSnapshot("../../schemas/graph.schema.json");
  const validate = new Ajv({ discriminator: true, strict: false, formats: { "millrace-duration": true } }).compile(
    JSON.parse(published),
  );
  expect(validate({ name: "g", nodes: { a: { kind: "source", from: "file:a.csv" } } })).toBe(true);
  expect(validate({ name: "g", nodes: { a: { kind: "source" } } })).toBe(false);
});
