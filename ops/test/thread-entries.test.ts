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

test.each([
  "ops/dist/host/index-worker.js",
  "actors/dist/calculator/calculator-worker.js",
  "actors/dist/calculator/process/node-worker.js",
  "streams/dist/file/parquet-worker.js",
  "projections/dist/script/script-worker.js",
])("%s loads a part of the engine", (entry) => {
  const loaded = loadedWith(entry);
  expect(loaded).toContain(entry);
  expect(loaded.filter((path) => path === "engine/dist/mod.js" || path.includes("/rxjs/"))).toEqual([]);
});

test("the main entry is found where it is loaded", () => {
  expect(loadedWith("ops/dist/retention/archive-worker.js")).toContain("engine/dist/mod.js");
});
