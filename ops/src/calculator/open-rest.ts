/** A service outside of any graph: checked and called as a node with the same settings would. */
import { type LooseCalculator, openRestCalculator } from "@millrace/actors";
import { invariant, type Json, parseGraph, systemEnv } from "@millrace/engine";
import { CompileContext } from "../compile/compile-context.ts";
import { restOptions } from "../compile/rest-options.ts";
import { opsError } from "../errors.ts";
import { ProjectionTables } from "../host/projection-tables.ts";

/** @throws CLI-USAGE the settings are none, HOST-CONNECTOR a secret does not exist */
export async function openRest(
  use: string,
  { rest, deadlineMs }: { readonly rest?: Json; readonly deadlineMs: number },
): Promise<LooseCalculator> {
  const node = {
    kind: "calculator",
    input: "in",
    use,
    deadline: `${deadlineMs}ms`,
    ...(rest === undefined ? {} : { rest }),
  };
  const nodes = {
    in: { kind: "source", from: "telemetry:" },
    service: node,
    out: { kind: "sink", input: "service", to: "discard:" },
  };
  const parsed = parseGraph(JSON.stringify({ name: "service", nodes }));
  if ("problems" in parsed) {
    const why = parsed.problems.map(
      ({ code, message, path }) => `${code} ${path.replace("/nodes/service", "")} ${message}`,
    );
    throw opsError("CLI-USAGE", `${use} cannot be called like this: ${why.join("; ")}`);
  }
  const env = systemEnv();
  const { graph } = parsed;
  const service = graph.nodes.get("service");
  invariant(service?.kind === "calculator", "a graph that was parsed has its nodes");
  const context = new CompileContext(graph, { dir: ".", out: ".", env, tables: new ProjectionTables() });
  const { client, ...options } = await restOptions(service, context);
  return openRestCalculator({ ...options, place: {}, client: client() }, env);
}
