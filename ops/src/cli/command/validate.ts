import { formatProblem, type Problem } from "@millrace/engine";
import pc from "picocolors";
import { EXIT } from "../failure.ts";
import { loadGraph } from "../load-graph.ts";
import { counted, writeJson, writeLine } from "../output.ts";
import { inert } from "../terminal-text.ts";

/** Checks every file and shows all problems of all of them; exit code 1 if there is any. */
export function validate(files: readonly string[], { json = false }: { readonly json?: boolean }): void {
  const loaded = files.map(loadGraph);
  const problems = loaded.flatMap((graph): readonly Problem[] => graph.problems);
  if (json) {
    const graphs = loaded.map(({ file, model }) => ({ file, graph: model?.name ?? null, valid: model !== undefined }));
    writeJson({ valid: problems.length === 0, graphs, problems });
  } else {
    for (const problem of problems) writeLine(inert(formatProblem(problem)));
    for (const { file, model } of loaded) {
      if (model !== undefined)
        writeLine(`${pc.green("ok")} ${file}: graph ${model.name}, ${counted(model.nodes.size, "node")}`);
    }
  }
  if (problems.length > 0) process.exitCode = EXIT.findings;
}
