import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  badName,
  bypassedPorts,
  FILE_BYTES_MAX,
  focusedTests,
  importsOutsideConsole,
  isCode,
  machineTraces,
  mayUseGlobals,
  type SourceFile,
  starExports,
} from "./tidy.ts";

const root = join(import.meta.dirname, "..", "..");

/** Tracked files and those about to be. */
const paths = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)));
const read = (path: string): SourceFile => ({ path, text: readFileSync(join(root, path), "utf8") });
const code = paths.filter(isCode).map(read);

/** One line per finding, so that a failure names every place at once. */
const findings = (files: readonly SourceFile[], rule: (file: SourceFile) => string[]): string[] =>
  files.flatMap((file) => rule(file).map((finding) => `${file.path}: ${finding}`));

const planted = (text: string, path = "actors/src/planted.ts"): SourceFile => ({ path, text });

it("looks at every workspace", () => {
  const workspaces = new Set(code.map(({ path }) => path.split("/")[0]));
  for (const name of ["engine", "actors", "streams", "native", "projections", "gateway", "ops"]) {
    expect(workspaces).toContain(name);
  }
});

describe("file names", () => {
  it("name the noun that the file is about", () => {
    expect(paths.flatMap((path) => badName(path, (other) => paths.includes(other)) ?? []).sort()).toEqual([]);
  });

  it.each([
    "engine/src/actor/actor-manager.ts",
    "streams/src/nats/utils.ts",
    "streams/src/nats/RetryHelper.ts",
    "gateway/src/lineage-service.ts",
    "actors/src/index.ts",
    "actors/src/window-impl.ts",
    "actors/src/someWindow.ts",
    "native/crate/src/util.rs",
  ])("rejects %s", (path) => {
    expect(badName(path, () => false)).toBeDefined();
  });

  it.each(["actors/src/window-impl.ts", "ops/deploy/millrace.service", "engine/src/graph/base64.ts"])(
    "accepts %s beside its interface file",
    (path) => {
      expect(badName(path, (other) => other === "actors/src/window.ts")).toBeUndefined();
    },
  );
});

describe("top level", () => {
  it("holds the seven workspaces, the project's own files, tool configurations and dot-files", () => {
    const allowed =
      /^(?:engine|actors|streams|native|projections|gateway|ops|README\.md|LICENSE|CHANGELOG\.md|package(?:-lock)?\.json|tsconfig\.json|turbo\.json|biome\.json|knip\.json|vitest\.config\.ts|\..+)$/;
    expect([...new Set(paths.map((path) => path.split("/")[0] ?? ""))].filter((name) => !allowed.test(name))).toEqual(
      [],
    );
  });
});

describe("file sizes", () => {
  it(`stay below ${FILE_BYTES_MAX} bytes`, () => {
    expect(paths.filter((path) => statSync(join(root, path)).size > FILE_BYTES_MAX)).toEqual([]);
  });
});

describe("traces of one machine", () => {
  it("are in no file", () => {
    expect(findings(paths.map(read), machineTraces)).toEqual([]);
  });

  it.each([
    ["actors/src/planted.ts", `const home = "/${"root"}/.cache";`],
    [".npmrc", `//x\nregistry=https://${"registry"}.example.org/`],
    ["package-lock.json", `"resolved": "https${"://"}mirror.example.org/a.tgz"`],
  ])("are found in %s", (path, text) => {
    expect(machineTraces({ path, text })).toHaveLength(1);
  });
});

describe("time, timers and chance", () => {
  it("come through ports", () => {
    expect(
      findings(
        code.filter(({ path }) => !mayUseGlobals(path)),
        bypassedPorts,
      ),
    ).toEqual([]);
  });

  it.each([
    "const at = Date.now();",
    "const at = globalThis.Date.now();",
    'const at = Date["now"]();',
    "const { now } = Date;",
    "const clock = { now: Date.now };",
    "const at = new Date();",
    "const at = new Date;",
    "const at = Date();",
    "const draw = Math.random();",
    "setTimeout(() => {}, 1);",
    "const later = setInterval;",
    "globalThis.setImmediate(() => {});",
    "const { setTimeout: later } = globalThis;",
    "const at = performance.now();",
    "const at = process.hrtime.bigint();",
    'import { hrtime } from "node:process";',
    'import { setTimeout as sleep } from "node:timers/promises";',
    'import * as hooks from "node:perf_hooks";',
    "class Sleeper { private readonly at: number = Date.now(); }",
    "export const f = (at = Date.now()) => at;",
  ])("are found when taken from the machine: %s", (text) => {
    expect(bypassedPorts(planted(text))).not.toEqual([]);
  });

  it.each([
    "const at = new Date(0);",
    "const at = new Date(clock.now());",
    "const at = clock.setTimeout(() => {}, 1);",
    "interface Clock { setTimeout(run: () => void, ms: number): void; now(): number }",
    "// Date.now() is banned\nconst text = 'setTimeout';",
    "const date = Date.parse('2026-01-01');",
    "const p = Math.max(1, 2);",
    'import type { performance } from "node:perf_hooks";',
  ])("are not confused with: %s", (text) => {
    expect(bypassedPorts(planted(text))).toEqual([]);
  });

  it.each([
    ["engine/src/mailbox/ring.ts", false],
    ["native/src/mod.ts", false],
    ["engine/src/testing/event-log-contract.ts", false],
    ["engine/src/time/system-clock.ts", true],
    ["engine/src/mailbox/ring.test.ts", true],
    ["streams/test/http.test.ts", true],
    ["engine/bench/ring.bench.ts", true],
    ["ops/src/cli/main.ts", true],
    ["gateway/console/src/main.tsx", true],
  ])("%s may use globals: %s", (path, allowed) => {
    expect(mayUseGlobals(path)).toBe(allowed);
  });
});

describe("exports", () => {
  it("are listed by name", () => {
    expect(findings(code, starExports)).toEqual([]);
  });

  it("by star are found", () => {
    expect(starExports(planted('export * from "./window.ts";'))).toEqual(["./window.ts"]);
  });
});

describe("tests", () => {
  it("are not focused", () => {
    const tests = code.filter(({ path }) => /\.(?:test|bench)\.tsx?$|\/testing\//.test(path));
    expect(tests).not.toEqual([]);
    expect(findings(tests, focusedTests)).toEqual([]);
  });

  it.each(["only", "concurrent.only"])("focused with .%s are found", (way) => {
    expect(focusedTests(planted(`it.${way}("works", () => {});`))).toEqual(["it.only"]);
  });
});

describe("the console", () => {
  it("imports its own files and npm packages", () => {
    const files = code.filter(({ path }) => path.startsWith("gateway/console/"));
    expect(files).not.toEqual([]);
    expect(findings(files, importsOutsideConsole)).toEqual([]);
  });

  it.each([
    'import { Log } from "@millrace/engine";',
    'import { x } from "../../src/mod.ts";',
    'const x = await import("../../src/mod.ts");',
    'import type { Frame } from "../../../engine/src/frame/frame.ts";',
    'export { x } from "../../../engine/src/mod.ts";',
  ])("may not: %s", (text) => {
    expect(importsOutsideConsole(planted(text, "gateway/console/src/main.tsx"))).toHaveLength(1);
  });

  it("may import a type of the gateway", () => {
    const text = 'import type { X } from "../../src/live/x.ts"; export type { Y } from "../../src/y.ts";';
    expect(importsOutsideConsole(planted(text, "gateway/console/src/main.tsx"))).toEqual([]);
  });

  it("may import a sibling", () => {
    expect(importsOutsideConsole(planted('import { x } from "../graph/x.ts";', "gateway/console/src/a/b.ts"))).toEqual(
      [],
    );
  });
});
