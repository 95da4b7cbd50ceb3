/**
 * Follows the fields of messages along the graph. Behind a window or a selection it is known which fields there are, and an
 * expression that reads another one would fail for every message; that shows here instead, with the field that was meant.
 */
import { didYouMean } from "../expression/nearest.ts";
import type { DraftNode } from "./draft.ts";
import type { DraftEdge } from "./edges.ts";
import type { FieldUse } from "./expressions-check.ts";
import type { ProblemList } from "./problem.ts";

/** Every field that messages may have; `undefined` when nobody can tell. */
type Fields = ReadonlySet<string> | undefined;

export interface FieldFlow {
  readonly nodes: ReadonlyMap<string, DraftNode>;
  readonly edges: readonly DraftEdge[];
  /** Senders before receivers. */
  readonly order: readonly string[];
  /** What each node's expressions read. */
  readonly uses: ReadonlyMap<string, readonly FieldUse[]>;
}

export function checkFields({ nodes, edges, order, uses }: FieldFlow, problems: ProblemList): void {
  const incoming = new Map<string, DraftEdge[]>();
  for (const edge of edges) incoming.set(edge.to, [...(incoming.get(edge.to) ?? []), edge]);
  const leaving = new Map<string, Fields>();
  for (const name of order) {
    const node = nodes.get(name) as DraftNode;
    const arriving = union((incoming.get(name) ?? []).map(({ from, port }) => leaving.get(`${from}.${port}`)));
    for (const use of [...(uses.get(name) ?? []), ...namedFields(node)]) checkUse(use, arriving, problems);
    for (const port of portsWithFields(node))
      leaving.set(`${name}.${port}`, port === "late" ? arriving : fieldsAfter(node, arriving));
  }
}

/** What any of the inputs may bring. A source brings what it likes, so a node without known inputs knows nothing. */
function union(inputs: readonly Fields[]): Fields {
  if (inputs.length === 0 || inputs.includes(undefined)) return undefined;
  return new Set(inputs.flatMap((fields) => [...(fields ?? [])]));
}

function portsWithFields(node: DraftNode): readonly string[] {
  return node.kind === "switch"
    ? [...node.texts("cases").map(([name]) => name), node.text("otherwise") ?? "out"]
    : ["out", "late"];
}

function fieldsAfter(node: DraftNode, arriving: Fields): Fields {
  switch (node.kind) {
    case "filter":
    case "merge":
    case "switch":
      return arriving;
    case "enrich":
      return arriving === undefined ? undefined : new Set([...arriving, node.text("as") ?? ""]);
    case "map":
      return mapped(node, arriving);
    case "window":
      return new Set([
        ...node.texts("by").map(([name]) => name),
        "window_start",
        "window_end",
        ...node.texts("compute").map(([name]) => name),
      ]);
    default:
      return undefined;
  }
}

function mapped(node: DraftNode, arriving: Fields): Fields {
  if (node.has("value")) return undefined;
  if (node.has("select")) return new Set(node.list("select"));
  if (arriving === undefined) return undefined;
  const dropped = new Set(node.list("drop"));
  return new Set([...arriving, ...node.texts("set").map(([name]) => name)].filter((field) => !dropped.has(field)));
}

/** Fields that a node names instead of reading them in an expression. */
function namedFields(node: DraftNode): readonly FieldUse[] {
  const added = new Set(node.texts("set").map(([name]) => name));
  const listed = ["select", "drop", "key"].flatMap((key) =>
    node.list(key).map((field, i) => ({
      path: ["nodes", node.name, key, i],
      source: field,
      fields: added.has(field) ? [] : [field],
    })),
  );
  const time = node.kind === "window" ? node.text("time") : undefined;
  return time === undefined
    ? listed
    : [...listed, { path: ["nodes", node.name, "time"], source: time, fields: [time] }];
}

function checkUse({ path, source, fields }: FieldUse, arriving: Fields, problems: ProblemList): void {
  if (arriving === undefined) return;
  for (const field of fields) {
    // Who asks whether a field is there has thought of its absence.
    if (arriving.has(field) || source.includes(`has(event.${field}`)) continue;
    const at = Math.max(0, source.indexOf(`event.${field}`));
    const known = [...arriving];
    const hint = didYouMean(field, known) || `; they have ${known.map((name) => `\`${name}\``).join(", ")}`;
    problems.add("GRAPH-TYPE", path, `messages that arrive here have no field \`${field}\`${hint}`, { index: at });
  }
}
