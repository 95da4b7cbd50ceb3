/** The reporter in a run of its own, of tests that fail as often as is said here. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const reporter = fileURLToPath(new URL("flaky-reporter.ts", import.meta.url));

describe("tests that fail once", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "millrace-flaky-"));
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
    const config = { test: { retry: 1, reporters: [reporter] } };
    writeFileSync(join(directory, "vitest.config.mjs"), `export default ${JSON.stringify(config)};`);
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  /** Runs files whose tests fail so many times each. */
  function run(files: Readonly<Record<string, readonly number[]>>): {
    readonly status: number | null;
    readonly text: string;
  } {
    for (const [file, tests] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, file)), { recursive: true });
      const lines = tests.map(
        (times, i) => `let n${i} = 0; it("t${i}", () => expect(n${i}++).toBeGreaterThanOrEqual(${times}));`,
      );
      writeFileSync(join(directory, file), ['import { expect, it } from "vitest";', ...lines].join("\n"));
    }
    const command = [join(root, "node_modules", "vitest", "vitest.mjs"), "run", ...Object.keys(files)];
    const { status, stdout } = spawnSync(process.execPath, command, { cwd: directory, encoding: "utf8" });
    return { status, text: stdout };
  }

  it("are named with what failed and where, and the run passes", () => {
    const { status, text } = run({ "test/few.test.ts": [0, 1] });
    expect(status).toBe(0);
    expect(text).toMatch(
      /flaky, to be mended:\n {2}test\/few\.test\.ts > t1\n {4}expected \+?0 to be .*few\.test\.ts:3:\d+\)/,
    );
    expect(text).not.toContain("> t0");
  });

  it.each([
    ["are more than two", { "test/many.test.ts": [1, 1, 1] }, "flaky"],
    ["count losses", { "test/faults/one.test.ts": [1] }, "flaky"],
    ["count what a broker lost", { "test/connectors/nats-faults.test.ts": [1] }, "flaky"],
    ["fail again", { "test/never.test.ts": [2] }, ""],
  ])("fail the run when they %s", (_, files, told) => {
    const { status, text } = run(files);
    expect(status).toBe(1);
    expect(text).toContain(told);
  });
});
