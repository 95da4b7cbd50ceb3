/** Checks where `delimiter` and `types` stand: they say how the cells of CSV are told apart and read. */
import type { DraftNode } from "./draft.ts";
import type { ProblemList } from "./problem.ts";
import { extensionOf, SOURCE_FORMATS, type Target } from "./target.ts";

const IN_ADDRESS = "say it in the address, as in `?delimiter=;`, and a tab as `%09`";

export function checkCsv(node: DraftNode, target: Target, problems: ProblemList): void {
  const fault = csvFault(node, target);
  for (const key of node.kind === "sink" ? ["delimiter"] : ["delimiter", "types"]) {
    const why = target.scheme === "s3" && key === "delimiter" ? IN_ADDRESS : fault;
    if (why !== undefined && node.has(key))
      problems.add("GRAPH-CAP", ["nodes", node.name, key], `\`${key}\`: ${why}`, "key");
  }
}

/** Why there are no cells; `undefined` where there may be some, or where the format itself is wrong. */
function csvFault(node: DraftNode, { scheme, address }: Target): string | undefined {
  if (scheme !== "file" && scheme !== "s3") return `only CSV has cells, and ${scheme}: has no CSV`;
  const said = scheme === "file" ? node.text("format") : /[?&]format=([a-z]+)/.exec(address)?.[1];
  const format = said ?? (scheme === "file" ? extensionOf(address) : "csv");
  const known = SOURCE_FORMATS.get(format);
  return known === undefined || known === "csv" ? undefined : `only CSV has cells, and this is ${known}`;
}
