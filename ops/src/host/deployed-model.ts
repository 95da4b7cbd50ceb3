/** A graph as it was deployed, read from the log. */
import { formatProblem, type GraphModel, parseGraph } from "@millrace/engine";
import { opsError } from "../errors.ts";
import type { Deployment } from "./graph-stream.ts";

/** @throws HOST-MOMENT the definition cannot be read here */
export function deployedModel(
  graph: string,
  { definition, revision }: Pick<Deployment, "definition" | "revision">,
): GraphModel {
  const parsed = parseGraph(definition, { file: `${graph} (from the log)`, env: process.env });
  if ("graph" in parsed) return parsed.graph;
  const problems = parsed.problems.map(formatProblem).join("\n");
  throw opsError("HOST-MOMENT", `revision ${revision} of graph ${graph} cannot be read here:\n${problems}`);
}
