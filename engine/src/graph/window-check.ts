/** Checks how the windows of a node lie: they tumble or hop. */
import type { DraftNode } from "./draft.ts";
import { parseDuration } from "./duration.ts";
import type { Path, ProblemList } from "./problem.ts";

/** Windows that hold one message: each message counts in all of them. */
const OVERLAPS_MAX = 1000;

export function checkWindow(node: DraftNode, problems: ProblemList): void {
  if (node.kind !== "window") return;
  const path = ["nodes", node.name];
  if (!node.has("tumbling") && !node.has("hopping"))
    problems.add("GRAPH-SCHEMA", path, `window \`${node.name}\` needs \`tumbling\` or \`hopping\``, "key");
  if (node.has("tumbling") && node.has("hopping"))
    problems.add("GRAPH-SCHEMA", [...path, "hopping"], "windows are `tumbling` or `hopping`, not both", "key");
  const { size, every } = node.map("hopping");
  if (typeof size === "string" && typeof every === "string") checkHops(size, every, [...path, "hopping"], problems);
}

/** Durations that are none are told by the schema. */
function checkHops(size: string, every: string, path: Path, problems: ProblemList): void {
  const length = parseDuration(size);
  const hop = parseDuration(every);
  if (!("ms" in length && "ms" in hop)) return;
  if (length.ms % hop.ms !== 0)
    problems.add("GRAPH-TIME", [...path, "every"], `\`size\` ${size} is no multiple of \`every\` ${every}`);
  else if (length.ms / hop.ms > OVERLAPS_MAX)
    problems.add(
      "GRAPH-TIME",
      [...path, "every"],
      `${length.ms / hop.ms} windows would hold each message, which is more than ${OVERLAPS_MAX}`,
    );
}
