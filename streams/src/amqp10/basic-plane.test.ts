import { expect, test } from "vitest";
import { inBasicPlane } from "./basic-plane.ts";

const JSON_TYPE = "application/json";

test("JSON says the same without characters beyond the basic plane", () => {
  const row = { text: 'é "😀" \u{10ffff}', 𝒳: "\\😀" };
  const body = inBasicPlane(Buffer.from(JSON.stringify(row)), JSON_TYPE);
  expect(JSON.parse(body.toString())).toEqual(row);
  expect(body.every((byte) => byte < 0xf0)).toBe(true);
});

test("other bodies stay as they are, byte for byte", () => {
  const image = Buffer.from([0x89, 0xf0, 0xff, 0x00]);
  expect(inBasicPlane(image, "image/png")).toBe(image);
  expect(inBasicPlane(image, undefined)).toBe(image);
  expect(inBasicPlane(image, JSON_TYPE)).toBe(image);
  const plain = Buffer.from("😀");
  expect(inBasicPlane(plain, "text/plain")).toBe(plain);
  const basic = Buffer.from('"é"');
  expect(inBasicPlane(basic, JSON_TYPE)).toBe(basic);
});
