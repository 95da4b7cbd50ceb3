/** Graph files from disk: checked, or with all their problems. */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type GraphModel, graphError, type Problem, parseGraph } from "@millrace/engine";
import { cronFault } from "./cron-fault.ts";
import { counted } from "./output.ts";
import { readInput } from "./read-input.ts";

export interface LoadedGraph {
  readonly file: string;
  readonly text: string;
  /** Folder that addresses in the file start at. */
  readonly dir: string;
  readonly model: GraphModel | undefined;
  /** Empty if there is a model. */
  readonly problems: readonly Problem[];
}

/** @throws CLI-USAGE the file cannot be read */
export function loadGraph(file: string): LoadedGraph {
  const bytes = readInput(file);
  const dir = dirname(resolve(file));
  const parsed = parseGraph(bytes, {
    file,
    env: process.env,
    fileExists: (path) => existsSync(resolve(dir, path)),
    secretExists: (reference) => secretExists(reference, dir),
    cronFault,
  });
  const text = bytes.toString("utf8");
  return "graph" in parsed
    ? { file, text, dir, model: parsed.graph, problems: [] }
    : { file, text, dir, model: undefined, problems: parsed.problems };
}

/** @throws GRAPH-INVALID with every problem of all of them in its details */
export function refuseProblems(loaded: readonly LoadedGraph[]): void {
  const problems = loaded.flatMap((graph) => graph.problems);
  if (problems.length === 0) return;
  throw graphError("GRAPH-INVALID", `found ${counted(problems.length, "problem")}`, { details: { problems } });
}

function secretExists(reference: string, dir: string): boolean {
  const [scheme, ...rest] = reference.split(":");
  const name = rest.join(":");
  return scheme === "env" ? process.env[name] !== undefined : existsSync(resolve(dir, name));
}
