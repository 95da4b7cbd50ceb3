import { expect, it } from "vitest";
import { contentHash } from "./payload-archive.ts";
import { UnsureContents } from "./unsure-contents.ts";

const hashOf = (i: number): string => contentHash(Buffer.from(`content ${i}`));

it("knows every content that was added, and few of the others, however many were added", () => {
  const unsure = new UnsureContents();
  expect(unsure.has(hashOf(0))).toBe(false);
  const added = Array.from({ length: 20_000 }, (_, i) => hashOf(i));
  for (const sha256 of added) unsure.add(sha256);
  expect(added.filter((sha256) => !unsure.has(sha256))).toEqual([]);
  const others = Array.from({ length: 20_000 }, (_, i) => hashOf(1e6 + i)).filter((sha256) => unsure.has(sha256));
  expect(others.length).toBeLessThan(200);
});

it("is told apart by the beginning of the hash alone, so that it takes the same room for any number", () => {
  const unsure = new UnsureContents();
  unsure.add(`abcdef${"0".repeat(58)}`);
  expect(unsure.has(`abcdef${"1".repeat(58)}`)).toBe(true);
  expect(unsure.has(`abcde0${"0".repeat(58)}`)).toBe(false);
});
