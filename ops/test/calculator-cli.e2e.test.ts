/** `millrace calculator`: what authors write, test and measure. */
import { execSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Finished, lastJson, millrace } from "./millrace.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-calculator-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const calculator = (...args: readonly string[]): Promise<Finished> =>
  millrace(["calculator", ...args], { cwd: folder });

const LANGUAGES = [
  ["ts", "late-score.ts", undefined],
  ["python", "late_score.py", process.env.MILLRACE_SKIP_PYTHON],
  ["java", "LateScore.java", process.env.MILLRACE_SKIP_JAVA],
] as const;

describe.each(LANGUAGES)("a first calculator in %s", (lang, file, skip) => {
  const path = (name: string): string => join(lang, name);
  const vectors = path("late-score.vectors.json");

  it.skipIf(skip !== undefined)("is written, passes its vectors, and is not overwritten", async () => {
    const written = await calculator("new", path("late-score"), "--lang", lang, "--json");
    expect(lastJson(written.stdout)).toEqual({ file: path(file), vectors });
    const tested = await calculator("test", path(file), "--vectors", vectors, "--json");
    expect(tested.stderr).toBe("");
    expect([tested.code, lastJson(tested.stdout)]).toMatchObject([0, { passed: 2, failed: 0 }]);
    const again = await calculator("new", path("late-score"), "--lang", lang);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining("is there already")]);
  });

  it.skipIf(skip !== undefined)("fails vectors that it does not meet", async () => {
    const text = readFileSync(join(folder, vectors), "utf8").replace('"score": 6', '"score": 7');
    writeFileSync(join(folder, path("wrong.json")), text);
    const { code, stdout } = await calculator("test", path(file), "--vectors", path("wrong.json"));
    expect(code).toBe(1);
    expect(stdout).toContain("FAILED a row is scored");
    expect(stdout).toContain('got      [{"n":2,"score":6},{"n":0.5,"score":1.5}]');
    expect(stdout).toContain("1 passed, 1 failed");
  });
});

const COMPILED = [
  ["rust", "src/lib.rs", "target/release/liblate_score.so", process.env.MILLRACE_SKIP_RUST],
  ["cpp", "late_score.cpp", "late_score.so", process.env.MILLRACE_SKIP_CXX],
  ["c", "late_score.c", "late_score.so", process.env.MILLRACE_SKIP_RUST],
] as const;

describe.each(COMPILED)("a first calculator in %s", (lang, file, library, skip) => {
  it.skipIf(skip !== undefined)(
    "is written, built as it says, passes its vectors, and is measured",
    async () => {
      const vectors = join(lang, "late-score.vectors.json");
      const written = await calculator("new", join(lang, "late-score"), "--lang", lang, "--json");
      const { build, ...files } = lastJson(written.stdout) as { readonly build: string };
      expect(files).toEqual({ file: join(lang, file), vectors });
      execSync(build, { cwd: join(folder, lang), stdio: "pipe" });
      const tested = await calculator("test", join(lang, library), "--vectors", vectors, "--json");
      expect(tested.stderr).toBe("");
      expect([tested.code, lastJson(tested.stdout)]).toMatchObject([0, { passed: 2, failed: 0 }]);
      const measured = await calculator("profile", join(lang, library), "--sizes", "1", "--runs", "1", "--json");
      expect((lastJson(measured.stdout) as Profile).measurements).toMatchObject([{ size: 1, error: null }]);
    },
    60_000,
  );
});

it("a file that does not load is named with its line", async () => {
  writeFileSync(join(folder, "broken.ts"), "export const a = 1;\nenum E { A }\nexport default () => E.A;\n");
  writeFileSync(join(folder, "any.json"), '{ "cases": [{ "given": [1], "expect": [1] }] }');
  const { code, stderr } = await calculator("test", "broken.ts", "--vectors", "any.json");
  expect(code).toBe(1);
  expect(stderr).toMatch(/broken\.ts:2:\d+ CALC-LOAD/);
});

it("state begins anew with each case", async () => {
  writeFileSync(
    join(folder, "sum.mjs"),
    "let s = 0;\nexport default { calculate: (n) => (s += n), snapshot: () => s, restore(x) { s = x ?? 0; } };\n",
  );
  const one = { given: [1, 2], expect: [1, 3] };
  writeFileSync(join(folder, "sum.json"), JSON.stringify({ cases: [one, one] }));
  const { code, stdout } = await calculator("test", "sum.mjs", "--vectors", "sum.json");
  expect([code, stdout]).toEqual([0, expect.stringContaining("2 passed, 0 failed")]);
});

interface Profile {
  readonly measurements: readonly {
    readonly calculator: string;
    readonly size: number;
    readonly timeMs: number | null;
    readonly cpuMs: number | null;
    readonly memoryMib: number | null;
    readonly iterations: number | null;
    readonly error: string | null;
  }[];
  readonly growth: readonly { readonly calculator: string; readonly iterations: number | null }[];
}

describe("a profile", () => {
  it("compares the built-in sorts over sizes", async () => {
    const sizes = [100, 6000];
    const names = ["bubble-sort", "merge-sort", "quick-sort"];
    const { code, stdout } = await calculator("profile", ...names, "--sizes", sizes.join(), "--runs", "1", "--json");
    expect(code).toBe(0);
    const { measurements, growth } = lastJson(stdout) as Profile;
    expect(measurements.map((m) => [m.calculator, m.size])).toEqual(
      names.flatMap((name) => sizes.map((n) => [name, n])),
    );
    for (const { timeMs, memoryMib, error } of measurements) {
      expect(error).toBeNull();
      expect(timeMs).toBeGreaterThan(0);
      expect(memoryMib).toBeGreaterThan(10);
    }
    // The kernel counts in 10 ms: 18 million comparisons take more anywhere.
    expect(measurements.find((m) => m.calculator === "bubble-sort" && m.size === 6000)?.cpuMs).toBeGreaterThan(0);
    const [bubble, merge, quick] = growth.map(({ iterations }) => iterations ?? 0);
    expect(bubble).toBeCloseTo(2, 1);
    for (const power of [merge, quick]) expect(power).toSatisfy((p: number) => p > 1 && p < 1.5);
  });

  it("measures recorded messages, and says why there is no figure", async () => {
    writeFileSync(join(folder, "rows.ndjson"), "1\n2\n3\n");
    writeFileSync(
      join(folder, "picky.mjs"),
      "export default (n) => { if (n === 3) throw new Error('three'); return n; };\n",
    );
    const { code, stdout } = await calculator(
      "profile",
      "picky.mjs",
      "--input",
      "rows.ndjson",
      "--sizes",
      "2,3",
      "--json",
    );
    expect(code).toBe(1);
    const { measurements } = lastJson(stdout) as Profile;
    expect(measurements.map((m) => [m.size, m.error])).toEqual([
      [2, null],
      [3, "CALC-THREW"],
    ]);
  });
});
