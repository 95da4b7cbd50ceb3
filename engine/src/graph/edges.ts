/** From `input: a.port` to edges: names are resolved, and what is named nowhere or names nothing is reported. */
import { didYouMean, nearest } from "../expression/nearest.ts";
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";
import { type DraftInput, type DraftNode, portsOf } from "./draft.ts";
import type { Path, ProblemList } from "./problem.ts";

export interface DraftEdge {
  readonly from: string;
  readonly port: string;
  readonly to: string;
  /** Index among the receiver's inputs, in the order of the file. */
  readonly input: number;
  /** Where the reference is written. */
  readonly path: Path;
}

/** `a -> b`, or `a.port -> b`: how edges are called in files, messages and metrics. */
export function edgeName({ from, port, to }: Pick<DraftEdge, "from" | "port" | "to">): string {
  return `${from}${port === "out" ? "" : `.${port}`} -> ${to}`;
}

export function draftEdges(nodes: ReadonlyMap<string, DraftNode>, problems: ProblemList): readonly DraftEdge[] {
  const edges: DraftEdge[] = [];
  const known = new Map<string, DraftEdge>();
  for (const node of nodes.values()) {
    for (const [index, input] of node.inputs.entries()) {
      const edge = resolved(node, index, input, nodes, problems);
      if (edge === undefined) continue;
      const twin = known.get(edgeName(edge));
      if (twin === undefined) edges.push(edge);
      else
        problems.add(
          "GRAPH-DUP",
          input.path,
          `\`${input.reference}\` is an input already, at ${problems.otherPlace(twin.path)}`,
        );
      known.set(edgeName(edge), twin ?? edge);
    }
  }
  return edges;
}

/** Looking for the nearest of many names, many times, would take longer than everything else. */
const HINTS_MAX = 100;

function resolved(
  node: DraftNode,
  input: number,
  { reference, path }: DraftInput,
  nodes: ReadonlyMap<string, DraftNode>,
  problems: ProblemList,
): DraftEdge | undefined {
  const [name = "", port = "out"] = reference.split(".", 2);
  const from = nodes.get(name);
  if (from === undefined) {
    const hint =
      problems.size < HINTS_MAX
        ? didYouMean(
            name,
            [...nodes.keys()].filter((other) => other !== node.name),
          )
        : "";
    problems.add("GRAPH-REF", path, `there is no node \`${name}\`${hint}`);
    return undefined;
  }
  const edge = { from: name, port, to: node.name, input, path };
  if (from.kind === undefined || portsOf(from).includes(port)) return edge;
  problems.add("GRAPH-REF", path, noPort(from, port));
  return undefined;
}

function noPort(from: DraftNode, port: string): string {
  const ports = portsOf(from);
  if (from.kind === "sink") return `\`${from.name}\` is a sink; nothing comes out of it`;
  const choices = ports.map((p) => (p === "out" ? `\`${from.name}\`` : `\`${from.name}.${p}\``)).join(", ");
  if (port === "out") return `\`${from.name}\` is a switch; name one of its ports: ${choices}`;
  if (port === "late" && from.kind === "window")
    return `\`${from.name}\` has no port \`late\`; give it \`late: output\``;
  const guess = nearest(port, ports);
  return `\`${from.name}\` has no port \`${port}\`${guess === undefined ? `; it has ${choices}` : `; did you mean \`${from.name}.${guess}\`?`}`;
}

/** Every output must go somewhere; dropping messages is a decision that a sink to `discard:` makes visible. */
export function checkOutputs(nodes: ReadonlyMap<string, DraftNode>, problems: ProblemList): void {
  const taken = new Set<string>();
  for (const node of nodes.values())
    for (const { reference } of node.inputs) taken.add(reference.includes(".") ? reference : `${reference}.out`);
  for (const node of nodes.values()) {
    if (node.kind === undefined) continue;
    for (const port of portsOf(node)) {
      if (taken.has(`${node.name}.${port}`)) continue;
      const output = port === "out" ? node.name : `${node.name}.${port}`;
      problems.add(
        "GRAPH-REF",
        ["nodes", node.name],
        `nothing takes the output of \`${output}\`; connect it, or add a sink to discard:`,
        "key",
      );
    }
  }
}

const EDGE_KEY = /^\s*([^\s>.]+)(?:\.([^\s>]+?))?\s*->\s*([^\s>]+)\s*$/;

/** Settings of the `edges` section by {@link edgeName}. */
export function edgeSettings(
  definition: Json,
  edges: readonly DraftEdge[],
  problems: ProblemList,
): ReadonlyMap<string, JsonObject> {
  const section = isJsonObject(definition) ? definition.edges : undefined;
  const settings = new Map<string, JsonObject>();
  const written = new Map<string, string>();
  const names = new Set(edges.map(edgeName));
  for (const [key, value] of Object.entries(isJsonObject(section) ? section : {})) {
    const path = ["edges", key];
    const [, from, port = "out", to] = EDGE_KEY.exec(key) ?? [];
    if (from === undefined || to === undefined) {
      problems.add("GRAPH-SCHEMA", path, `\`${key}\` names no edge; write \`from -> to\``, "key");
      continue;
    }
    const name = edgeName({ from, port, to });
    const first = written.get(name);
    if (first !== undefined)
      problems.add(
        "GRAPH-DUP",
        path,
        `edge \`${name}\` is set already, at ${problems.otherPlace(["edges", first], "key")}`,
        "key",
      );
    else if (!names.has(name))
      problems.add("GRAPH-REF", path, noEdge(name, problems.size < HINTS_MAX ? names : new Set()), "key");
    written.set(name, first ?? key);
    if (isJsonObject(value)) settings.set(name, value);
  }
  return settings;
}

function noEdge(name: string, names: ReadonlySet<string>): string {
  return `there is no edge \`${name}\`${didYouMean(name, names) || "; the inputs of nodes make the edges"}`;
}
