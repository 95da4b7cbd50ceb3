/** Runs a test of a graph: the graph over a log in memory, to its end. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Env,
  type ErrorReport,
  type EventLog,
  formatProblem,
  type GraphModel,
  type GraphTestDefinition,
  type Json,
  parseGraph,
  STEP,
  stepOf,
} from "@millrace/engine";
import { memoryEventLog } from "@millrace/streams/memory";
import { compileGraph } from "../compile/compile-graph.ts";
import { opsError } from "../errors.ts";
import { memoryHost } from "../host/memory-host.ts";
import { ProjectionTables } from "../host/projection-tables.ts";
import { whenFinished } from "../host/when-finished.ts";
import { type RowDifference, rowDifference } from "./row-difference.ts";
import { rowsFile, testedDefinition } from "./tested-definition.ts";

export interface GraphTestResult {
  readonly ok: boolean;
  /** Of the sinks that did not get what the test expects. */
  readonly sinks: readonly SinkResult[];
  /** What nodes gave up on, in the order in which they did. It fails no test by itself: a row that is missing for it does. */
  readonly deadLetters: readonly TestDeadLetter[];
}

export interface SinkResult extends RowDifference {
  readonly sink: string;
}

export interface TestDeadLetter {
  readonly node: string;
  readonly error: ErrorReport;
  readonly input: Json | undefined;
}

export interface GraphTestOptions {
  /** The folder of the graph file. */
  readonly dir: string;
  readonly env: Env;
}

const BY = { principal: "test", reason: "a test of the graph" };

/** @throws CLI-USAGE the graph cannot be tested; HOST-PARKED a node gave up; HOST-CONNECTOR, CALC-LOAD and what else a graph is refused with */
export async function runGraphTest(
  model: GraphModel,
  test: GraphTestDefinition,
  { dir, env }: GraphTestOptions,
): Promise<GraphTestResult> {
  refuseProjectionTables(model);
  const folder = mkdtempSync(join(tmpdir(), "millrace-test-"));
  try {
    for (const node of model.nodes.values())
      if (node.kind === "source")
        writeFileSync(join(folder, rowsFile(node.name)), linesOf(test.given[node.name] ?? []));
    const deadLetters = await runToEnd(model, folder, { dir, env });
    const sinks = Object.entries(test.expect)
      .map(([sink, rows]) => ({
        sink,
        ...rowDifference(rows as readonly Json[], rowsIn(join(folder, rowsFile(sink)))),
      }))
      .filter(({ missing, unexpected }) => missing.length + unexpected.length > 0);
    return { ok: sinks.length === 0, sinks, deadLetters };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The rows of a projection come from another graph. */
function refuseProjectionTables({ nodes, source }: GraphModel): void {
  for (const node of nodes.values())
    if (node.kind === "enrich" && node.definition.table.startsWith("projection:"))
      throw opsError("CLI-USAGE", `${node.name} looks rows up in a projection, which a test does not have`, {
        place: source.node(node.name, "table"),
      });
}

async function runToEnd(
  { name, definition }: GraphModel,
  folder: string,
  { dir, env }: GraphTestOptions,
): Promise<readonly TestDeadLetter[]> {
  const text = JSON.stringify(testedDefinition(definition, folder));
  const parsed = parseGraph(text, { file: `${name} (as it is tested)`, env: process.env });
  if ("problems" in parsed) throw opsError("CLI-USAGE", parsed.problems.map(formatProblem).join("\n"));
  const compiled = await compileGraph(parsed.graph, text, { dir, out: folder, env, tables: new ProjectionTables() });
  const log = memoryEventLog({ env });
  let failure: unknown;
  const host = memoryHost(log, {
    env,
    untilDone: true,
    report: (thrown) => {
      failure ??= thrown;
    },
  });
  try {
    await host.add(compiled, BY);
    await whenFinished(host.running(name));
    if (failure !== undefined) throw failure;
    return await deadLettersOf(log);
  } finally {
    await host.close("the test is over");
  }
}

async function deadLettersOf(log: EventLog): Promise<readonly TestDeadLetter[]> {
  const letters: TestDeadLetter[] = [];
  for await (const events of log.read())
    for (const event of events)
      if (event.type === STEP)
        letters.push(...stepOf(event).dead.map(({ node, error, input }) => ({ node, error, input })));
  return letters;
}

function linesOf(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function rowsIn(path: string): readonly Json[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Json);
}
