/** A list that is kept by hand says what the sources say: each type that they append by a name of theirs, and no other. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { OWN_EVENT_TYPES } from "./own-event-types.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const WORKSPACES = ["engine", "projections", "ops"].map((name) => `${name}/src/*.ts`);

function allSources(): string {
  const listed = execFileSync("git", ["ls-files", "-z", "--", ...WORKSPACES], { cwd: root, encoding: "utf8" });
  const paths = listed.split("\0").filter((path) => path !== "" && !/\.test\.ts$|\/testing\//.test(path));
  return paths.map((path) => readFileSync(join(root, path), "utf8")).join("\n");
}

/** Constants that an event has as its type, and types that are written where they are used. */
function typesIn(source: string): ReadonlySet<string> {
  const named = Array.from(source.matchAll(/^(?:export )?const ([A-Z_]+) = "([A-Za-z]+)";/gm))
    .filter(([, name]) => new RegExp(`(?:\\btype(?::| ===)|\\benv,) ${name}\\b`).test(source))
    .map(([, , type = ""]) => type);
  const literal = Array.from(source.matchAll(/\btype: "((?:Graph|Node)[A-Z][a-z]+)"/g), ([, type = ""]) => type);
  return new Set([...named, ...literal]);
}

it("has every type that Millrace appends, and no other", () => {
  // Those of the log's own records, which only the log writes, begin with `$`.
  const listed = OWN_EVENT_TYPES.filter((type) => !type.startsWith("$"));
  expect([...listed].sort()).toEqual([...typesIn(allSources())].sort());
});
