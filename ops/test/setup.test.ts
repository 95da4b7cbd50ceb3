import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isInstalled, needs, skips } from "../bin/setup.mjs";
import { root } from "./millrace.ts";

type Packages = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

describe("an installation", () => {
  const locked: Packages = {
    "": { name: "millrace" },
    "node_modules/rxjs": { version: "7.8.2", integrity: "sha512-a" },
    "node_modules/@biomejs/cli-darwin-arm64": { version: "2.5.15", integrity: "sha512-b", optional: true },
    "node_modules/@millrace/engine": { resolved: "engine", link: true },
    engine: { version: "0.1.0" },
  };
  const { "": _root, "node_modules/@biomejs/cli-darwin-arm64": _other, ...complete } = locked;
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "millrace-setup-"));
    mkdirSync(join(directory, "node_modules"));
    writeFileSync(join(directory, "package-lock.json"), JSON.stringify({ packages: locked }));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const installed = (packages: Packages): boolean => {
    writeFileSync(join(directory, "node_modules", ".package-lock.json"), JSON.stringify({ packages }));
    return isInstalled(directory);
  };

  it("is complete without the packages of other platforms", () => {
    expect(installed(complete)).toBe(true);
  });

  it("is absent when npm did not finish", () => {
    expect(isInstalled(directory)).toBe(false);
  });

  it.each<[string, Packages]>([
    ["a missing package", { ...complete, "node_modules/rxjs": undefined as never }],
    ["another version", { ...complete, "node_modules/rxjs": { version: "7.8.1", integrity: "sha512-a" } }],
    ["other bytes", { ...complete, "node_modules/rxjs": { version: "7.8.2", integrity: "sha512-c" } }],
    ["a package too many", { ...complete, "node_modules/left-over": { version: "1.0.0" } }],
  ])("does not match the lockfile with %s", (_title, packages) => {
    expect(installed(packages)).toBe(false);
  });
});

describe("skipped suites", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("carry the reason given from outside", () => {
    vi.stubEnv("MILLRACE_SKIP_BROWSER", "no display");
    expect(skips()).toMatchObject({ MILLRACE_SKIP_BROWSER: "no display" });
  });

  it("name what is not on PATH", () => {
    vi.stubEnv("MILLRACE_SKIP_FAKETIME", "");
    vi.stubEnv("PATH", "");
    expect(skips()).toMatchObject({ MILLRACE_SKIP_FAKETIME: "no faketime on PATH" });
  });
});

describe("npm test", () => {
  /** Prepares with every suite skipped, so that nothing is installed or built. */
  const prepared = (ci: string) => {
    const reasons = Object.fromEntries(needs.map(({ name }) => [`MILLRACE_SKIP_${name}`, `${name} is not wanted`]));
    const script = 'import("./ops/bin/setup.mjs").then(({ prepareTests }) => prepareTests())';
    const env = { ...process.env, ...reasons, CI: ci };
    return spawnSync(process.execPath, ["--eval", script], { encoding: "utf8", cwd: root, env });
  };

  it.each(["", "false"])(
    "goes on without the suites that it skips, and names each with its reason, where CI is '%s'",
    (ci) => {
      const { status, stdout, stderr } = prepared(ci);
      expect([status, stderr]).toEqual([0, ""]);
      const told = stdout.trim().split("\n");
      expect(told.map((line) => line.split(" (Debian")[0]?.replace(/\.$/, ""))).toEqual(
        needs.map(({ name, suites }) => `Skipping ${suites}: ${name} is not wanted`),
      );
    },
  );

  it("fails where a suite is skipped with CI=true", () => {
    const { status, stdout, stderr } = prepared("true");
    expect([status, stderr]).toEqual([1, "CI=true: a skipped suite is a failure.\n"]);
    expect(stdout).toContain("BROWSER is not wanted");
  });
});

describe("npm run unit", () => {
  it("runs the file behind --update alone", () => {
    const file = "engine/src/expression/nearest.test.ts";
    const environment = Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST"));
    const options = { encoding: "utf8", cwd: root, env: Object.fromEntries(environment) } as const;
    const output = execFileSync(process.execPath, ["ops/bin/unit.mjs", "--update", file, "--reporter=json"], options);
    const { testResults } = JSON.parse(output) as { readonly testResults: readonly { readonly name: string }[] };
    expect(testResults.map(({ name }) => name)).toEqual([join(root, file)]);
  }, 60_000);
});
