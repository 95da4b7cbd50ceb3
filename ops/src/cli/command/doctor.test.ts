import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { doctor } from "./doctor.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-doctor-test-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
  rmSync(directory, { recursive: true, force: true });
});

it("finds a file where the data directory is to be", async () => {
  const file = join(directory, "data");
  writeFileSync(file, "");
  let shown = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    shown += String(text);
    return true;
  });
  await doctor({ data: join(file, "deeper"), port: 0, json: true });
  expect(process.exitCode).toBe(1);
  const { ok, checks } = JSON.parse(shown) as { readonly ok: boolean; readonly checks: readonly object[] };
  expect(ok).toBe(false);
  expect(checks).toContainEqual({ name: "disk", verdict: "failed", detail: expect.stringContaining(`${file} is no`) });
});
