/** Checks a calculator that is a service over HTTP: its address, its credentials, and the settings that services do not have. */
import { checkCall, checkServiceAddress } from "./call-check.ts";
import type { DraftNode } from "./draft.ts";
import type { ProblemList } from "./problem.ts";

/** Settings of code that runs here. */
const OF_CODE = ["export", "pure", "isolation", "sandbox", "interpreter", "limits", "config"] as const;

export function checkRest(node: DraftNode, use: string, problems: ProblemList): void {
  const path = ["nodes", node.name];
  for (const key of OF_CODE)
    if (node.has(key))
      problems.add(
        "GRAPH-SCHEMA",
        [...path, key],
        `\`${key}\` is for code that runs here; \`use\` is a service`,
        "key",
      );
  checkServiceAddress(use, { path: [...path, "use"], credentials: "rest.auth" }, problems);
  checkCall(node, "rest", problems);
}
