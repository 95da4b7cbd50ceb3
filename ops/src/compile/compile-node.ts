import { enrich, field, filter, map, merge, stateMode, switchTo, type WindowOptions, window } from "@millrace/actors";
import {
  type AnyNodeModel,
  type CommittedNode,
  compileExpression,
  durationMs,
  type Expression,
  invariant,
  type Json,
  type PureNode,
  parseAggregate,
  parseTarget,
  type SourceNode,
} from "@millrace/engine";
import { opsError } from "../errors.ts";
import { compileCalculator } from "./compile-calculator.ts";
import type { CompileContext } from "./compile-context.ts";
import { compileSink } from "./compile-sink.ts";
import { compileSource, csvOptions, fileConnector } from "./compile-source.ts";
import { enrichProjection } from "./enrich-projection.ts";
import { loadTable } from "./table.ts";

export type CompiledNode = SourceNode | PureNode | CommittedNode;

type Kind<K extends AnyNodeModel["kind"]> = Extract<AnyNodeModel, { kind: K }>;

export async function compileNode(node: AnyNodeModel, context: CompileContext): Promise<CompiledNode> {
  const compiled = await compileStream(node, context);
  return node.mode === "state" && node.kind !== "source" && node.kind !== "sink" && node.kind !== "window"
    ? withState(node.name, compiled, context)
    : compiled;
}

/** A stateless node in `mode: state` keeps its last result, and is committed for it. */
function withState(name: string, compiled: CompiledNode, context: CompileContext): CommittedNode {
  if (compiled.role === "pure") return { role: "committed", make: () => stateMode({ behavior: compiled.make() }) };
  const place = context.place(name, "mode");
  throw opsError("HOST-CONNECTOR", "`mode: state` needs a calculator that is `pure: true`", { place });
}

async function compileStream(node: AnyNodeModel, context: CompileContext): Promise<CompiledNode> {
  switch (node.kind) {
    case "source":
      return compileSource(node, context);
    case "filter":
      return compileFilter(node, context);
    case "map":
      return compileMap(node, context);
    case "enrich":
      return compileEnrich(node, context);
    case "window":
      return compileWindow(node, context);
    case "calculator":
      return compileCalculator(node, context);
    case "switch":
      return compileSwitch(node, context);
    case "merge":
      return { role: "pure", make: merge };
    case "sink":
      return compileSink(node, context);
  }
}

async function compileFilter({ name, definition }: Kind<"filter">, context: CompileContext): Promise<PureNode> {
  const { nativeSelection } = await import("@millrace/native");
  const where = compileExpression(definition.where, context.place(name, "where"), nativeSelection());
  return { role: "pure", make: () => filter({ where }) };
}

function compileMap({ name, definition }: Kind<"map">, context: CompileContext): PureNode {
  const { set, select, drop, value } = definition;
  const options = {
    ...(set === undefined ? {} : { set: expressions(set, context, name, "set") }),
    ...(select === undefined ? {} : { select }),
    ...(drop === undefined ? {} : { drop }),
    ...(value === undefined ? {} : { value: compileExpression(value, context.place(name, "value")) }),
  };
  return { role: "pure", make: () => map(options) };
}

async function compileEnrich(
  { name, definition }: Kind<"enrich">,
  context: CompileContext,
): Promise<PureNode | CommittedNode> {
  const { table: uri, on, as, required = false } = definition;
  const { scheme, address } = parseTarget(uri) ?? { scheme: "", address: "" };
  const key = compileExpression(definition.key, context.place(name, "key"));
  const place = context.place(name, "table");
  if (scheme === "projection") {
    const { tables } = context.options;
    tables.name(address, place);
    const find = (k: Json): Promise<Json | undefined> => tables.find(address, on, k);
    return { role: "committed", make: () => enrichProjection({ key, as, required, find }) };
  }
  await context.pin(address);
  context.read.push({ node: name, path: context.path(address), place });
  const types = { [on]: "text", ...definition.types } as const;
  const options = { path: context.path(address), ...csvOptions({ ...definition, types }) };
  const connector = await fileConnector(options, context.options.env, place);
  const isTyped = definition.types !== undefined && Object.hasOwn(definition.types, on);
  const table = await loadTable(connector, on, context.place(name, "on"), isTyped);
  return { role: "pure", make: () => enrich({ table, key, as, required }) };
}

async function compileWindow(
  { name, definition, timeField }: Kind<"window">,
  context: CompileContext,
): Promise<CommittedNode> {
  const { nativeGroups } = await import("@millrace/native");
  const { by = {}, compute, lateness, late } = definition;
  const options = {
    ...spanOf(definition),
    time: field(timeField ?? "time"),
    by: expressions(by, context, name, "by"),
    compute: new Map(
      Object.entries(compute).map(
        ([as, call]) => [as, parseAggregate(call, context.place(name, "compute", as))] as const,
      ),
    ),
    ...(lateness === undefined ? {} : { latenessMs: durationMs(lateness) }),
    late: late === "output" ? ("port" as const) : ("drop" as const),
    kernels: nativeGroups(),
  };
  return { role: "committed", make: () => window(options) };
}

function spanOf({ tumbling, hopping }: Kind<"window">["definition"]): Pick<WindowOptions, "sizeMs" | "everyMs"> {
  if (hopping !== undefined) return { sizeMs: durationMs(hopping.size), everyMs: durationMs(hopping.every) };
  invariant(tumbling !== undefined, "the windows of a checked graph tumble or hop");
  return { sizeMs: durationMs(tumbling) };
}

async function compileSwitch({ name, definition }: Kind<"switch">, context: CompileContext): Promise<PureNode> {
  const { nativeSelection } = await import("@millrace/native");
  const { otherwise } = definition;
  const cases = Object.entries(definition.cases).map(([port, when]) => ({
    port,
    when: compileExpression(when, context.place(name, "cases", port), nativeSelection()),
  }));
  return { role: "pure", make: () => switchTo({ cases, ...(otherwise === undefined ? {} : { otherwise }) }) };
}

function expressions(
  sources: Readonly<Record<string, string>>,
  context: CompileContext,
  ...at: readonly [string, string]
): ReadonlyMap<string, Expression> {
  return new Map(
    Object.entries(sources).map(([as, source]) => [as, compileExpression(source, context.place(...at, as))]),
  );
}
