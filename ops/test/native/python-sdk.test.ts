/** The Python SDK's own tests: they need nothing but Python, and try both ways of msgpack where its package is there. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { calculatorPython } from "../../bin/python-clients.mjs";
import { root } from "../millrace.ts";

const { MILLRACE_SKIP_PYTHON, MILLRACE_SKIP_NUMPY } = process.env;

it.skipIf(MILLRACE_SKIP_PYTHON)("the Python SDK passes its unit tests", () => passes("python3"));

it.skipIf(MILLRACE_SKIP_NUMPY)(
  `… and with the package of msgpack${MILLRACE_SKIP_NUMPY ? ` (skipped: ${MILLRACE_SKIP_NUMPY})` : ""}`,
  () => {
    const { python } = calculatorPython;
    expect(spawnSync(python, ["-c", "import msgpack"]).status).toBe(0);
    passes(python);
  },
);

function passes(python: string): void {
  const cwd = join(root, "native", "sdk", "python");
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  const { status, stderr } = spawnSync(python, ["-m", "unittest", "discover", "-s", "test"], {
    cwd,
    env,
    encoding: "utf8",
  });
  expect(stderr).toMatch(/Ran [1-9]\d* tests/);
  expect([status, stderr]).toEqual([0, expect.stringMatching(/OK\n$/)]);
}
