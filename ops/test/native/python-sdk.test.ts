/** The Python SDK's own tests, which need nothing but Python. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "../millrace.ts";

it.skipIf(process.env.MILLRACE_SKIP_PYTHON !== undefined)("the Python SDK passes its unit tests", () => {
  const cwd = join(root, "native", "sdk", "python");
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  const { status, stderr } = spawnSync("python3", ["-m", "unittest", "discover", "-s", "test"], {
    cwd,
    env,
    encoding: "utf8",
  });
  expect(stderr).toMatch(/Ran [1-9]\d* tests/);
  expect([status, stderr]).toEqual([0, expect.stringMatching(/OK\n$/)]);
});
