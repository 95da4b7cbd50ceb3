import { expect, it } from "vitest";
import { base64Bytes } from "./base64.ts";

const SLOW = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

it("takes what is base64, and nothing else that could be decoded", () => {
  const letters = ["A", "/", "+", "=", "-", " ", "é"];
  const texts = [""];
  for (let length = 0; length < 4; length++)
    for (const text of texts.filter((one) => one.length === length))
      for (const letter of letters) texts.push(text + letter);
  const endings = texts.filter((text) => text.length === 4).map((text) => `AbC/${text}`);
  for (const text of [...texts, ...endings]) {
    expect([text, base64Bytes(text)]).toEqual([text, SLOW.test(text) ? Buffer.from(text, "base64") : undefined]);
  }
});

it("takes bytes by the megabyte", () => {
  const bytes = Buffer.alloc(12_000_000, "millrace");
  const text = bytes.toString("base64");
  expect(base64Bytes(text)?.equals(bytes)).toBe(true);
  expect(base64Bytes(`${text}=`)).toBeUndefined();
  expect(base64Bytes(`*${text.slice(1)}`)).toBeUndefined();
});
