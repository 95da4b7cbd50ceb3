import { dirname, resolve } from "node:path";
import { type GraphModel, type GraphTestDefinition, type Json, systemEnv } from "@millrace/engine";
import pc from "picocolors";
import { type GraphTestResult, runGraphTest } from "../../graph-test/run-graph-test.ts";
import { EXIT } from "../failure.ts";
import { loadGraph, refuseProblems } from "../load-graph.ts";
import { counted, writeJson, writeLine } from "../output.ts";
import { inert } from "../terminal-text.ts";

interface TestedGraph {
  readonly file: string;
  readonly model: GraphModel;
}

interface NamedResult extends GraphTestResult {
  readonly file: string;
  readonly graph: string;
  readonly test: string;
}

/** Runs the tests of all files, one after the other; exit code 1 if one fails. @throws GRAPH-INVALID with every problem */
export async function test(files: readonly string[], { json = false }: { readonly json?: boolean }): Promise<void> {
  const loaded = files.map(loadGraph);
  refuseProblems(loaded);
  const graphs = loaded.flatMap(({ file, model }) => (model === undefined ? [] : [{ file, model }]));
  const results: NamedResult[] = [];
  for (const graph of graphs)
    for (const [i, one] of graph.model.tests.entries()) {
      const result = await runOne(graph, one, i);
      results.push(result);
      if (!json) writeResult(result, graph, i);
    }
  const failed = results.filter(({ ok }) => !ok).length;
  if (json) writeJson({ ok: failed === 0, tests: results });
  else writeLine(`${counted(results.length - failed, "test")} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = EXIT.findings;
}

async function runOne({ file, model }: TestedGraph, one: GraphTestDefinition, i: number): Promise<NamedResult> {
  const result = await runGraphTest(model, one, { dir: dirname(resolve(file)), env: systemEnv() });
  return { file, graph: model.name, test: one.name ?? `test ${i + 1}`, ...result };
}

function writeResult(
  { file, test: name, ok, sinks, deadLetters }: NamedResult,
  { model }: TestedGraph,
  i: number,
): void {
  const { line, column } = model.source.test(i);
  writeLine(`${ok ? pc.green("ok  ") : pc.red("FAIL")} ${file}:${line}:${column} ${name}`);
  for (const { sink, missing, unexpected } of sinks) {
    for (const row of missing) writeLine(`       ${sink} did not get ${textOf(row)}`);
    for (const row of unexpected) writeLine(`       ${sink} got         ${textOf(row)}`);
  }
  for (const { node, error, input = null } of deadLetters)
    writeLine(`       ${node} gave up ${textOf(input)}: ${error.code} ${inert(error.message)}`);
}

function textOf(row: Json): string {
  return inert(JSON.stringify(row));
}
