/** A graph of Millrace between two topics, as `millrace run` has it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const cli = join(import.meta.dirname, "..", "..", "dist", "cli", "main.js");

/** Program and arguments; `SOURCE` and `SINK` in the nodes stand for the topics. */
export function millraceRun({ address, from, to, folder, isLive }, nodes) {
  const graph = join(folder, "graph.yaml");
  const named = nodes
    .replace("SOURCE", `kafka://${address}/${from}${isLive ? "" : "?until=now"}`)
    .replace("SINK", `kafka://${address}/${to}`);
  writeFileSync(graph, `name: ${to}\nnodes:\n${named}`);
  const until = isLive ? ["--port", "0"] : ["--until-done"];
  return [process.execPath, [cli, "run", graph, ...until, "--data", join(folder, "data")]];
}
