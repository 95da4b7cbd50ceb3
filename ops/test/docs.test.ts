/** What the documentation shows is so: its graphs are valid, and its links lead somewhere. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
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
