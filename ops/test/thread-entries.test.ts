/** What threads load before they do anything: a part of the engine, because somebody waits for it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const root = pathToFileURL(`${join(import.meta.dirname, "..", "..")}/`);

/** Modules of this repository that are loaded with an entry, as V8 tells it. */
function loadedWith(entry: string): string[] {
  const directory = mkdtempSync(join(tmpdir(), "millrace-loaded-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const script = `await import(${JSON.stringify(new URL(entry, root).href)})`;
  const env = { ...process.env, NODE_OPTIONS: "", NODE_V8_COVERAGE: directory };
  // The inside of a process says that nobody is there to talk to.
  spawnSync(process.execPath, ["--input-type=module", "-e", script], { env, stdio: "ignore" });
  const [file] = readdirSync(directory);
  const { result } = JSON.parse(readFileSync(join(directory, file as string), "utf8")) as { result: { url: string }[] };
  return result.flatMap(({ url }) => (url.startsWith(root.href) ? [url.slice(root.href.length)] : []));
}

const CLI = "ops/dist-cli/";

/** The entry as the command line starts it. */
function bundled(name: string): string {
  const file = readdirSync(new URL(CLI, root)).find((one) => one.startsWith(`${name}-`));
  return `${CLI}${file}`;
}

/** Characters of this repository's code that is loaded. */
function sizeOf(loaded: readonly string[]): number {
  const ours = loaded.filter((path) => path.startsWith(CLI));
  return ours.reduce((sum, path) => sum + readFileSync(new URL(path, root), "utf8").length, 0);
}

test.each(["calculator-worker", "index-worker", "node-worker", "parquet-worker", "script-worker", "sqlite-worker"])(
  "%s loads a part of the engine",
  (name) => {
    const loaded = loadedWith(bundled(name));
    expect(loaded).toContain(bundled(name));
    expect(loaded.filter((path) => path.includes("/rxjs/"))).toEqual([]);
    expect(sizeOf(loaded)).toBeLessThan(250_000);
  },
);

test("the engine is found where it is loaded", () => {
  const loaded = loadedWith(bundled("archive-worker"));
  expect(loaded.some((path) => path.includes("/rxjs/"))).toBe(true);
  expect(sizeOf(loaded)).toBeGreaterThan(500_000);
});
