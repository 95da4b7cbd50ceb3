/** All checks of a definition, and the model when they find nothing. */
import { didYouMean } from "../expression/nearest.ts";
import { isJsonObject, type Json } from "../frame/json.ts";
import { checkAlign } from "./align-check.ts";
import { checkConnectors, checkSinkTargets, type Surroundings } from "./connectors-check.ts";
import { checkCycles, kahnOrder } from "./cycles.ts";
import { type DraftNode, draftNodes } from "./draft.ts";
import { checkOutputs, type DraftEdge, draftEdges, edgeName, edgeSettings } from "./edges.ts";
import { checkEventTimes, EventTimes } from "./event-time.ts";
import { checkExpressions, checkValue, type FieldUse } from "./expressions-check.ts";
import { checkFields } from "./fields-check.ts";
import { NODES_MAX } from "./limits.ts";
import { type GraphModel, graphModel } from "./model.ts";
import type { Locator, Path, ProblemList } from "./problem.ts";
import type { GraphDefinition } from "./schema.ts";
import { checkSchema } from "./schema-check.ts";
import { secretsOf } from "./substitution.ts";
import { checkWindow } from "./window-check.ts";

export interface CheckOptions extends Surroundings {
  /** Whether a secret exists, by its reference `env:NAME` or `file:PATH`. Not checked when absent. */
  readonly secretExists?: ((reference: string) => boolean) | undefined;
}

/** Adds every problem of `value` to `problems`; `undefined` when there are any. */
export function checkedModel(
  value: Json,
  locator: Locator,
  options: CheckOptions,
  problems: ProblemList,
): GraphModel | undefined {
  const nodes = draftNodes(value);
  if (nodes.size > NODES_MAX) {
    problems.add("GRAPH-LIMIT", ["nodes"], `the graph has more than ${NODES_MAX} nodes`);
    return undefined;
  }
  checkSchema(value, problems);
  // Streams of a graph's nodes begin with its name, those of graphs with this one.
  if (isJsonObject(value) && value.name === "graph")
    problems.add(
      "GRAPH-SCHEMA",
      ["name"],
      "a graph cannot be called `graph`; its nodes' streams would be taken for graphs",
    );
  const edges = draftEdges(nodes, problems);
  checkOutputs(nodes, problems);
  const settings = edgeSettings(value, edges, problems);
  const isFeedback = (edge: DraftEdge): boolean => settings.get(edgeName(edge))?.feedback === true;
  checkCycles(nodes, edges, isFeedback, problems);
  const forward = edges.filter((edge) => !isFeedback(edge));
  const order = kahnOrder(nodes.keys(), forward);
  const times = new EventTimes(nodes, edges, order);
  checkEventTimes(nodes, times, problems);
  checkAlign({ definition: value, nodes, edges: forward, order, settings, times }, problems);
  const uses = new Map<string, readonly FieldUse[]>();
  for (const node of nodes.values()) {
    uses.set(node.name, checkExpressions(node, problems));
    checkConnectors(node, options, problems);
    checkWindow(node, problems);
  }
  checkFields({ nodes, edges, order, uses }, problems);
  checkMailboxes(value, problems);
  checkSinkTargets(nodes, problems);
  checkTests(value, nodes, problems);
  if (options.secretExists !== undefined) checkSecrets(value, [], options.secretExists, problems);
  if (problems.size > 0) return undefined;
  // The schema has accepted the value.
  return graphModel({ definition: value as unknown as GraphDefinition, nodes, edges, settings, times, locator });
}

function checkMailboxes(value: Json, problems: ProblemList): void {
  if (!isJsonObject(value)) return;
  const { nodes, defaults } = value;
  if (isJsonObject(defaults)) checkMailbox(defaults.mailbox, ["defaults", "mailbox"], problems);
  for (const [name, node] of Object.entries(isJsonObject(nodes) ? nodes : {})) {
    if (isJsonObject(node)) checkMailbox(node.mailbox, ["nodes", name, "mailbox"], problems);
  }
}

function checkMailbox(mailbox: Json | undefined, path: Path, problems: ProblemList): void {
  if (!isJsonObject(mailbox)) return;
  if (mailbox.discipline === "priority")
    problems.add(
      "GRAPH-CAP",
      [...path, "discipline"],
      "`priority` needs ranks, which only a program can give, and no graph file",
    );
  if (typeof mailbox.conflateBy !== "string") return;
  checkValue(mailbox.conflateBy, [...path, "conflateBy"], problems);
  if (mailbox.overflow === "conflate") return;
  problems.add("GRAPH-SCHEMA", [...path, "conflateBy"], "`conflateBy` goes with `overflow: conflate`", "key");
}

function checkTests(value: Json, nodes: ReadonlyMap<string, DraftNode>, problems: ProblemList): void {
  const tests = isJsonObject(value) ? value.tests : undefined;
  if (!Array.isArray(tests)) return;
  for (const [i, test] of tests.entries()) {
    if (!isJsonObject(test)) continue;
    checkTestNodes(test.given, ["tests", i, "given"], "source", nodes, problems);
    checkTestNodes(test.expect, ["tests", i, "expect"], "sink", nodes, problems);
  }
}

function checkTestNodes(
  rows: Json | undefined,
  path: Path,
  kind: "source" | "sink",
  nodes: ReadonlyMap<string, DraftNode>,
  problems: ProblemList,
): void {
  for (const name of Object.keys(isJsonObject(rows) ? rows : {})) {
    const node = nodes.get(name);
    if (node !== undefined && (node.kind === kind || node.kind === undefined)) continue;
    const candidates = [...nodes.values()].filter((other) => other.kind === kind).map((other) => other.name);
    const message =
      node === undefined ? `there is no ${kind} \`${name}\`` : `\`${name}\` is a ${node.kind}, not a ${kind}`;
    problems.add("GRAPH-REF", [...path, name], `${message}${didYouMean(name, candidates)}`, "key");
  }
}

function checkSecrets(value: Json, path: Path, exists: (reference: string) => boolean, problems: ProblemList): void {
  if (typeof value === "string") {
    for (const reference of secretsOf(value)) {
      if (!exists(reference)) problems.add("GRAPH-SECRET", path, `secret \`${reference}\` does not exist`);
    }
  } else if (typeof value === "object" && value !== null) {
    const entries: readonly (readonly [string | number, Json])[] = Array.isArray(value)
      ? [...value.entries()]
      : Object.entries(value);
    for (const [key, item] of entries) checkSecrets(item, [...path, key], exists, problems);
  }
}
