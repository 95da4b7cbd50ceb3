/** The gates that other tools keep: each is shown a planted fault, because a gate that looks at nothing is green too. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const workspaces = ["engine", "actors", "streams", "native", "projections", "gateway", "ops"];

/** A repository of this shape with the real configuration and other sources. */
function plant(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "millrace-gates-"));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  for (const name of [".dependency-cruiser.cjs", "biome.json", "tsconfig.json", ".gitignore"]) {
    cpSync(join(root, name), join(directory, name));
  }
  mkdirSync(join(directory, "node_modules", "@millrace"), { recursive: true });
  for (const name of workspaces) {
    mkdirSync(join(directory, name));
    cpSync(join(root, name, "package.json"), join(directory, name, "package.json"));
    symlinkSync(join("..", "..", name), join(directory, "node_modules", "@millrace", name));
  }
  for (const [path, text] of Object.entries(files)) write(path, text);
  return directory;
}

function run(directory: string, tool: string, ...args: string[]): { status: number | null; output: string } {
  const done = spawnSync(process.execPath, [join(root, "node_modules", tool), ...args], {
    cwd: directory,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  return { status: done.status, output: `${done.stdout}${done.stderr}` };
}

type Cruise = {
  readonly summary: {
    readonly totalCruised: number;
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
  readonly modules: readonly { readonly source: string }[];
};

function cruise(directory: string): Cruise {
  const args = ["--config", ".dependency-cruiser.cjs", "--output-type", "json", ...workspaces];
  const { output } = run(directory, "dependency-cruiser/bin/dependency-cruise.mjs", ...args);
  return JSON.parse(output) as Cruise;
}

describe("import direction", () => {
  const empty = "export {};\n";
  const sources: Record<string, string> = {
    "engine/src/mod.ts": "export const one = 1;\n",
    "engine/src/testing/mod.ts": empty,
    "engine/src/time/clock.ts": "export const two = 2;\n",
    "engine/src/b.ts": 'import { a } from "./a.ts";\nexport const b = (): unknown => a;\n',
    "actors/src/mod.ts": empty,
    "streams/src/memory/mod.ts": empty,
    "native/src/mod.ts": empty,
    "projections/src/mod.ts": empty,
    "gateway/src/mod.ts": empty,
    "ops/src/cli/main.ts": 'import "@millrace/actors";\nimport "@millrace/engine";\nimport "@millrace/gateway";\n',
    "actors/src/fine.ts":
      'import { one } from "@millrace/engine";\nimport "@millrace/engine/testing";\nexport { one };\n',
    "gateway/src/fine.ts": 'import "@millrace/projections";\n',
  };
  const faults: Record<string, { rule: string; text: string }> = {
    "engine/src/upward.ts": {
      rule: "engine-imports-only-itself",
      text: 'import "@millrace/ops";\nimport "@millrace/actors";\n',
    },
    "engine/src/type.ts": { rule: "engine-imports-only-itself", text: 'import type {} from "@millrace/native";\n' },
    "actors/src/sibling.ts": { rule: "actors-imports-only-engine", text: 'import "@millrace/streams/memory";\n' },
    "streams/src/sibling.ts": { rule: "streams-imports-only-engine", text: 'export {} from "@millrace/native";\n' },
    "native/src/sibling.ts": { rule: "native-imports-only-engine", text: 'await import("@millrace/projections");\n' },
    "projections/src/up.ts": { rule: "projections-imports-only-engine", text: 'import "@millrace/gateway";\n' },
    "gateway/src/wide.ts": {
      rule: "gateway-imports-only-engine-and-projections",
      text: 'import "@millrace/actors";\n',
    },
    "actors/src/deep.ts": { rule: "public-entries-only", text: 'import "../../engine/src/time/clock.ts";\n' },
    "ops/src/relative.ts": { rule: "by-package-name", text: 'import "../../engine/src/mod.ts";\n' },
    "ops/src/hidden.ts": { rule: "resolvable", text: 'import "@millrace/engine/src/time/clock.ts";\n' },
    "actors/src/file.ts": { rule: "actors-touch-nothing", text: 'import "node:fs";\n' },
    "engine/src/a.ts": { rule: "no-cycles", text: 'import { b } from "./b.ts";\nexport const a = (): unknown => b;\n' },
  };
  let directory: string;
  let found: Cruise;

  beforeAll(() => {
    directory = plant({
      ...sources,
      ...Object.fromEntries(Object.entries(faults).map(([path, { text }]) => [path, text])),
    });
    found = cruise(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each(Object.entries(faults).map(([path, { rule }]) => [path, rule] as const))("%s breaks %s", (path, rule) => {
    const broken = found.summary.violations.filter(({ from }) => from === path).map((violation) => violation.rule.name);
    expect(broken).toContain(rule);
  });

  it("finds nothing in what is allowed", () => {
    expect(found.summary.violations.filter(({ from }) => from in sources)).toEqual([]);
  });

  it("is checked in every workspace of this repository", () => {
    const { summary, modules } = cruise(root);
    expect(summary.totalCruised).toBeGreaterThan(0);
    for (const name of workspaces) expect(modules.some(({ source }) => source.startsWith(`${name}/src/`))).toBe(true);
  });
});

describe("lint", () => {
  const faults: Record<string, { rule: string; text: string }> = {
    "actors/src/floating.ts": {
      rule: "noFloatingPromises",
      text: 'import { late } from "./late.ts";\n\nexport function run(): void {\n  late();\n}\n',
    },
    "actors/src/misused.ts": {
      rule: "noMisusedPromises",
      text: 'import { late } from "./late.ts";\n\nexport const answer: number = late() ? 1 : 2;\n',
    },
    "actors/src/barrel.ts": { rule: "noBarrelFile", text: 'export { late } from "./late.ts";\n' },
    "actors/src/star.ts": { rule: "noReExportAll", text: 'export * from "./late.ts";\n' },
    "actors/src/any.ts": { rule: "noExplicitAny", text: "export const x: any = 1;\n" },
    "actors/src/bang.ts": {
      rule: "noNonNullAssertion",
      text: "export const f = (x?: { y: number }): number => x!.y;\n",
    },
    "actors/src/a.test.ts": {
      rule: "noFocusedTests",
      text: 'import { it } from "vitest";\n\nit.only("works", () => {});\n',
    },
  };
  const allowed = {
    "actors/src/late.ts": "export async function late(): Promise<void> {}\n",
    "actors/src/mod.ts": 'export { late } from "./late.ts";\n',
  };
  let directory: string;
  let reports: readonly { category: string; location: { path: { file: string } } }[];

  beforeAll(() => {
    directory = plant({
      ...allowed,
      ...Object.fromEntries(Object.entries(faults).map(([path, { text }]) => [path, text])),
    });
    spawnSync("git", ["init", "--quiet"], { cwd: directory });
    const { output } = run(directory, "@biomejs/biome/bin/biome", "ci", "--reporter=json", "--max-diagnostics=none");
    reports = JSON.parse(output.slice(output.indexOf("{"), output.lastIndexOf("}") + 1)).diagnostics;
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each(Object.entries(faults).map(([path, { rule }]) => [path, rule] as const))("%s breaks %s", (path, rule) => {
    const broken = reports
      .filter(({ location }) => JSON.stringify(location).includes(path))
      .map(({ category }) => category);
    expect(broken.some((category) => category.endsWith(`/${rule}`))).toBe(true);
  });

  it("finds nothing in what is allowed", () => {
    const paths = Object.keys(allowed);
    expect(reports.filter(({ location }) => paths.some((path) => JSON.stringify(location).includes(path)))).toEqual([]);
  });
});
