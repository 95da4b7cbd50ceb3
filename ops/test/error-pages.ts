/** The documentation of error codes, made from the catalogues that the code itself uses. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ErrorEntry, errorCodes, errorEntry } from "@millrace/engine";
import { root } from "./millrace.ts";

const KINDS: Readonly<Record<ErrorEntry["kind"], string>> = {
  programmer: "a bug of Millrace or of a plug-in; supervisors never resume past it",
  transient: "may pass; it is tried again with back-off",
  terminal: "will not pass by waiting; somebody must act",
  rejected: "input that is refused: a graph file, a message, a request",
};

/** Loads every public entry of every workspace, so that every catalogue is known, and returns all codes. */
export async function allCodes(): Promise<readonly string[]> {
  const { workspaces } = packageJson(".") as PackageJson & { readonly workspaces: readonly string[] };
  const entries = workspaces.flatMap((workspace) => {
    const { name, exports = {} } = packageJson(workspace);
    return Object.keys(exports).map((path) => `${name}${path.slice(1)}`);
  });
  await Promise.all(
    entries.filter((entry) => !entry.endsWith("/testing")).map((entry) => import(/* @vite-ignore */ entry)),
  );
  await import("../src/errors.ts");
  return errorCodes();
}

interface PackageJson {
  readonly name: string;
  readonly exports?: Readonly<Record<string, unknown>>;
}

function packageJson(workspace: string): PackageJson {
  return JSON.parse(readFileSync(join(root, workspace, "package.json"), "utf8")) as PackageJson;
}

/** Codes that the sources of any workspace declare, found by how a catalogue is written. */
export function declaredCodes(): readonly string[] {
  const options = { cwd: root, encoding: "utf8" } as const;
  const files = execFileSync("git", ["grep", "-l", "--untracked", "defineErrors({", "--", "*/src/*.ts"], options)
    .trim()
    .split("\n");
  const sources = files.filter(
    (file) => !file.endsWith(".test.ts") && !file.includes("/testing/") && file !== "engine/src/errors.ts",
  );
  return [
    ...new Set([...sources, "engine/src/errors.ts"].flatMap((file) => codesIn(readFileSync(join(root, file), "utf8")))),
  ].sort();
}

function codesIn(source: string): string[] {
  // Examples in comments are no catalogues.
  const code = source.replaceAll(/^\s*\*.*$/gm, "");
  const catalogues = code.split("defineErrors({").slice(1);
  return catalogues.flatMap((text) =>
    [...text.matchAll(/^ {2}"?([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*)"?: \{/gm)].map((match) => match[1] ?? ""),
  );
}

export function errorPage(codes: readonly string[]): string {
  const kinds = Object.entries(KINDS).map(([kind, meaning]) => `- **${kind}**: ${meaning}.`);
  const groups = new Map<string, string[]>();
  for (const code of codes) {
    const group = code.split("-")[0] ?? code;
    groups.set(group, [...(groups.get(group) ?? []), code]);
  }
  const sections = Array.from(groups, ([group, own]) => [`## ${group}`, "", ...own.flatMap(entryOf)].join("\n"));
  return [
    "# Error codes",
    "",
    "Generated from the catalogues in the sources by `npm run docs:errors`; do not edit. Every error has a code that never",
    "changes its meaning, a kind that says who must act, a place as precise as it is known, and the errors that caused it.",
    "",
    ...kinds,
    "",
    sections.join("\n"),
  ].join("\n");
}

function entryOf(code: string): string[] {
  const entry = errorEntry(code);
  if (entry === undefined) throw new Error(`${code} is in no catalogue`);
  return [`### ${code}`, "", `${entry.summary} *(${entry.kind})*`, "", entry.remedy, ""];
}
