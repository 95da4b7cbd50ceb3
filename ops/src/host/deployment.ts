/** From one graph revision to the next: what is deployed, what of a node's state is kept, and where new lanes begin (R22). */
import {
  type CutPoint,
  canonicalJson,
  type GraphProgram,
  type Json,
  type ProgramNode,
  parseTarget,
} from "@millrace/engine";
import { BROKER_SOURCES } from "../compile/broker-sources.ts";
import type { CompiledGraph } from "../compile/compiled-graph.ts";
import { opsError } from "../errors.ts";
import type { Deployment } from "./graph-stream.ts";

export function firstDeployment({ text, hash, parts, projections }: CompiledGraph): Deployment {
  return { revision: 1, definition: text, hash, parts, projections, begins: [], stateSince: {} };
}

/** Whether a node goes on with its state in the revision that follows. */
export function keepsState(before: CompiledGraph, next: CompiledGraph, node: string): boolean {
  return definitionOf(before, node) === definitionOf(next, node);
}

/** Nodes between sources and sinks that begin without the state which they had in the revision before. */
export function nodesBegunAnew(before: CompiledGraph, next: CompiledGraph): readonly string[] {
  const hadState = (node: ProgramNode): boolean =>
    node.role === "committed" && node.isSource !== true && node.isSink !== true && node.kind !== "record";
  return next.program.nodes
    .filter((node) => hadState(node) && before.model.nodes.has(node.name) && !keepsState(before, next, node.name))
    .map(({ name }) => name);
}

/** The next revision, which begins at `points`. A node whose definition changed begins without state. */
export function nextDeployment(
  deployed: Deployment,
  before: CompiledGraph,
  next: CompiledGraph,
  points: readonly CutPoint[],
): Deployment {
  const revision = deployed.revision + 1;
  const stateSince: Record<string, number> = { ...deployed.stateSince };
  for (const name of next.model.nodes.keys()) {
    if (!keepsState(before, next, name)) stateSince[name] = revision;
  }
  const begins = new Map([...deployed.begins, ...points].map((point) => [point.origin, point]));
  const { text, hash, parts, projections } = next;
  return { revision, definition: text, hash, parts, projections, begins: [...begins.values()], stateSince };
}

/** Where a node comes in the file makes no difference, nor what it is connected to: only what it does with its messages. */
function definitionOf({ model }: CompiledGraph, node: string): string {
  const found = model.nodes.get(node);
  if (found === undefined) return "";
  const {
    input: _input,
    inputs: _inputs,
    description: _description,
    mailbox: _mailbox,
    align: _align,
    supervision: _supervision,
    // What was in a sink's file before the sink began is no matter once it has.
    replace: _replace,
    ...does
  } = found.definition as {
    readonly [key: string]: Json;
  };
  return canonicalJson(typeof does.from === "string" ? { ...does, from: placeOf(does.from) } : does);
}

/** Options of a broker's address that say nothing of which messages come: a decision about a gap must not forget where it is. */
const INCIDENTAL: ReadonlySet<string> = new Set(["gap", "until", "probe", "suspend"]);

function placeOf(from: string): string {
  const [place = "", ...query] = from.split(/[?&]/);
  if (!BROKER_SOURCES.has(parseTarget(from)?.scheme ?? "")) return from;
  return [place, ...query.filter((option) => !INCIDENTAL.has(option.split("=")[0] ?? ""))].join("&");
}

/** The revision since which the node has its state; `undefined`: since the first. A node may be called `constructor`, which every object has. */
export function stateSinceOf({ stateSince }: Deployment, node: string): number | undefined {
  return Object.hasOwn(stateSince, node) ? stateSince[node] : undefined;
}

/** A program as the revision that was deployed. */
export function programAs(program: GraphProgram, deployment: Deployment): GraphProgram {
  const { revision, begins } = deployment;
  const nodes = program.nodes.map((node): ProgramNode => {
    const since = stateSinceOf(deployment, node.name);
    return node.role === "committed" && since !== undefined ? { ...node, stateSince: since } : node;
  });
  return { ...program, revision, begins, nodes };
}

/**
 * The revision that the log has, ready to be run to its end.
 *
 * @throws HOST-REVISION tables or calculators are not what they were, so that it would compute something else
 */
export async function compileDeployed(deployed: Deployment, next: CompiledGraph): Promise<CompiledGraph> {
  const graph = next.model.name;
  const before = await next.recompile(deployed.definition);
  if (before.hash === deployed.hash) return before;
  const changed = Object.keys(deployed.parts).filter((part) => deployed.parts[part] !== before.parts[part]);
  throw opsError(
    "HOST-REVISION",
    `this data directory holds revision ${deployed.revision} of graph ${graph}, which cannot be run to its end, because ` +
      `${changed.join(", ")} changed since; put the former contents back first, or use another directory (--data DIR)`,
    { place: { graph }, details: { revision: deployed.revision, changed } },
  );
}
