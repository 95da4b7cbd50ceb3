import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { newCalculator } from "./calculator.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "millrace-new-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it("a new calculator of which a file cannot be written is none at all, so that it can be written again", () => {
  // Not there for who looks, and there for who writes.
  symlinkSync(join(root, "nowhere"), join(root, "late.vectors.json"));
  expect(() => newCalculator(join(root, "late"), { lang: "ts", json: true })).toThrow("EEXIST");
  expect(readdirSync(root)).toEqual(["late.vectors.json"]);
  expect(existsSync(join(root, "nowhere"))).toBe(false);
});
