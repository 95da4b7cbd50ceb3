/** What the documentation shows is so: its graphs are valid, and its links lead somewhere. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { formatProblem, parseGraph } from "@millrace/engine";
import { expect, it } from "vitest";
import { root } from "./millrace.ts";

interface Page {
  readonly path: string;
  readonly text: string;
}

const pages = execFileSync("git", ["ls-files", "-z", "--", "*.md"], { cwd: root, encoding: "utf8" })
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)))
  .map((path): Page => ({ path, text: readFileSync(join(root, path), "utf8") }));

interface Sample {
  readonly text: string;
  /** Of a page that shows a part of a graph: what is around it is missing. */
  readonly isPart: boolean;
}

/** A whole graph; else its nodes, or some of them, put into one. Settings of edges alone are none. */
function sampleOf(yaml: string): Sample | undefined {
  if (/^name:/m.test(yaml)) return { text: yaml, isPart: false };
  if (/^nodes:/m.test(yaml)) return { text: `name: sample\n${yaml}`, isPart: true };
  if (!/\bkind: /.test(yaml)) return undefined;
  const indent = yaml.startsWith(" ") ? "" : "  ";
  return { text: `name: sample\nnodes:\n${yaml.replaceAll(/^(?=.)/gm, indent)}`, isPart: true };
}

const BLOCK = /^( *)```ya?ml\n([\s\S]*?)^\1```/gm;

function samples({ path, text }: Page): readonly (Sample & { readonly at: string })[] {
  return Array.from(text.matchAll(BLOCK)).flatMap(({ index, 1: indent = "", 2: block = "" }) => {
    const sample = sampleOf(block.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
    return sample === undefined ? [] : [{ ...sample, at: `${path}:${text.slice(0, index).split("\n").length}` }];
  });
}

/** Problems of a sample; a part may name nodes that it does not show, and leave outputs to those. */
function problemsOf({ text, isPart, at }: Sample & { readonly at: string }): readonly string[] {
  const parsed = parseGraph(text, { file: at });
  if ("graph" in parsed) return [];
  return parsed.problems.filter(({ code }) => !isPart || code !== "GRAPH-REF").map(formatProblem);
}

it("shows graphs that are valid", () => {
  const found = pages.flatMap(samples);
  expect(found.flatMap(problemsOf)).toEqual([]);
  expect(found.filter(({ isPart }) => !isPart).length).toBeGreaterThan(3);
  expect(found.length).toBeGreaterThan(20);
});

it("would name a graph that is not", () => {
  const page = { path: "page.md", text: "```yaml\nname: a\nnodes:\n  in: { kind: sorce }\n```\n" };
  expect(samples(page).flatMap(problemsOf)).toEqual([expect.stringContaining("did you mean `source`?")]);
});

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-");

const withoutCode = (text: string): string => text.replaceAll(/^ *```[\s\S]*?^ *```/gm, "");

function anchors(path: string): ReadonlySet<string> {
  const text = withoutCode(readFileSync(join(root, path), "utf8"));
  return new Set(Array.from(text.matchAll(/^#+ (.*)$/gm), ({ 1: heading = "" }) => anchorOf(heading)));
}

function deadLinks({ path, text }: Page): readonly string[] {
  return Array.from(withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)).flatMap(({ 1: link = "" }) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? path : join(dirname(path), file);
    const isThere = existsSync(join(root, target)) && (anchor === undefined || anchors(target).has(anchor));
    return isThere ? [] : [`${path}: ${link}`];
  });
}

it("has no link that leads nowhere", () => {
  expect(pages.flatMap(deadLinks)).toEqual([]);
  expect(deadLinks({ path: "README.md", text: "[a](nowhere.md) [b](#nothing)" })).toHaveLength(2);
});

const benches = readdirSync(join(root, "ops/bench")).flatMap((name) => /^(.+)\.bench\.mjs$/.exec(name)?.[1] ?? []);
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };

/** What pages say to run that is not there. */
function missingCommands({ path, text }: Page): readonly string[] {
  const named = Array.from(text.matchAll(/npm run (?!unit -- )([\w:-]+)(?: -- ([a-z][\w-]*))?/g));
  return named.flatMap(([command, script = "", bench]) => {
    const isThere = script in scripts && (script !== "bench" || bench === undefined || benches.includes(bench));
    return isThere ? [] : [`${path}: ${command}`];
  });
}

it("says to run only what there is", () => {
  expect(pages.flatMap(missingCommands)).toEqual([]);
  expect(missingCommands({ path: "a.md", text: "`npm run bench -- hopp` `npm run fly`" })).toHaveLength(2);
});

it("names every bench in the table of proofs, in one row", () => {
  const readme = pages.find(({ path }) => path === "README.md")?.text ?? "";
  const rows = readme.split("\n").filter((line) => line.startsWith("| speed against named peers"));
  expect(rows).toHaveLength(1);
  const named = Array.from(rows[0]?.matchAll(/`(?:npm run bench -- )?([\w-]+)`/g) ?? [], ([, name]) => name);
  expect(named.toSorted()).toEqual(benches.toSorted());
});
