/** A graph that has been checked: names resolved, settings filled in, nodes in the order in which messages pass them. */
import type { Place } from "../errors.ts";
import type { Json, JsonObject } from "../frame/json.ts";
import { DEFAULT_RESTART_POLICY, type Restart, type RestartPolicy } from "../supervision/restart-policy.ts";
import { kahnOrder } from "./cycles.ts";
import { definitionHash } from "./definition-hash.ts";
import { type DraftNode, isCommitted, portsOf } from "./draft.ts";
import { durationMs } from "./duration.ts";
import { type DraftEdge, edgeName } from "./edges.ts";
import type { EventTimes } from "./event-time.ts";
import { type Locator, type Path, type PathPart, pointer } from "./problem.ts";
import type { GraphDefinition, GraphTestDefinition } from "./schema.ts";
import type { MailboxDefinition, NodeDefinition, NodeKind } from "./schema-node.ts";

export interface EdgeModel {
  readonly from: string;
  /** `out`, the name of a switch's case, or `late`. */
  readonly port: string;
  readonly to: string;
  /** Index among the receiver's inputs. */
  readonly input: number;
  readonly via: "local" | "nats" | "kafka";
  readonly feedback: boolean;
  /** Absent: the receiver's mailbox decides. */
  readonly capacity?: number;
  readonly overflow?: NonNullable<MailboxDefinition["overflow"]>;
}

export interface NodeModel<D extends NodeDefinition = NodeDefinition> {
  readonly name: string;
  readonly kind: D["kind"];
  readonly definition: D;
  /** Ports that messages leave by; sinks have none. */
  readonly ports: readonly string[];
  /** In the order of the definition. */
  readonly inputs: readonly EdgeModel[];
  readonly outputs: readonly EdgeModel[];
  readonly mode: "stream" | "state";
  readonly mailbox: MailboxDefinition;
  readonly restart: Restart;
  /** Has state or logs its results; the others can be done again and log nothing. Sources and sinks are a matter of their connectors. */
  readonly isCommitted: boolean;
  /** Of sources and windows: the field with the event time, as set or as found upstream. */
  readonly timeField?: string;
  /** How far one input may be ahead of the slowest one, in ms of event time. Absent: they do not wait for each other. */
  readonly maxDriftMs?: number;
}

/** A node of one kind, `switch (node.kind)` tells which. */
export type AnyNodeModel = { [K in NodeKind]: NodeModel<Extract<NodeDefinition, { kind: K }>> }[NodeKind];

export interface GraphModel {
  readonly name: string;
  readonly description: string;
  readonly durability: "durable" | "relaxed";
  /** By name, senders before receivers; ties in the order of the definition. Feedback edges do not count. */
  readonly nodes: ReadonlyMap<string, AnyNodeModel>;
  /** By receiver, in the order of `nodes`. */
  readonly edges: readonly EdgeModel[];
  readonly tests: readonly GraphTestDefinition[];
  readonly supervision: RestartPolicy;
  /** As written, after substitution; secrets are references. */
  readonly definition: GraphDefinition;
  /** SHA-256 in hex; see `definitionHash`. */
  readonly definitionHash: string;
  /** Where things are written, for errors that show later. */
  readonly source: SourcePlaces;
}

/** Places in the file that a model came from; without a file, only graph and path are known. */
export class SourcePlaces {
  readonly #graph: string;
  readonly #locator: Locator;

  constructor(graph: string, locator: Locator) {
    this.#graph = graph;
    this.#locator = locator;
  }

  /** The place of a key below a node, such as `("late", "where")`; of the node itself without keys. */
  node(name: string, ...keys: readonly (string | number)[]): Place {
    return { ...this.#place(["nodes", name, ...keys], keys.length === 0 ? "key" : { index: 0 }), node: name };
  }

  /** The place of a test, by its index. */
  test(index: number): Place {
    return this.#place(["tests", index], "value");
  }

  #place(path: Path, part: PathPart): Place {
    const { file } = this.#locator;
    const at = this.#locator.locate(path, part);
    return { graph: this.#graph, path: pointer(path), ...(file === undefined ? {} : { file }), ...(at ?? {}) };
  }
}

/** What the checks found out about a definition without problems. */
export interface Resolved {
  readonly definition: GraphDefinition;
  readonly nodes: ReadonlyMap<string, DraftNode>;
  readonly edges: readonly DraftEdge[];
  readonly settings: ReadonlyMap<string, JsonObject>;
  readonly times: EventTimes;
  readonly locator: Locator;
}

export function graphModel(resolved: Resolved): GraphModel {
  const { definition } = resolved;
  const edges = resolved.edges.map((edge) => edgeModel(edge, resolved));
  const forward = edges.filter((edge) => !edge.feedback);
  const inputs = grouped(edges, (edge) => edge.to);
  const outputs = grouped(edges, (edge) => edge.from);
  const nodes = new Map<string, AnyNodeModel>();
  for (const name of kahnOrder(resolved.nodes.keys(), forward)) {
    nodes.set(name, nodeModel(name, inputs.get(name) ?? [], outputs.get(name) ?? [], resolved));
  }
  return {
    name: definition.name,
    description: definition.description ?? "",
    durability: definition.durability ?? "durable",
    nodes,
    edges: [...nodes.values()].flatMap((node) => node.inputs),
    tests: definition.tests ?? [],
    supervision: { ...DEFAULT_RESTART_POLICY, ...definition.supervision },
    definition,
    // A checked definition holds JSON only; its static types say less.
    definitionHash: definitionHash(definition as unknown as Json),
    source: new SourcePlaces(definition.name, resolved.locator),
  };
}

function grouped(
  edges: readonly EdgeModel[],
  keyOf: (edge: EdgeModel) => string,
): ReadonlyMap<string, readonly EdgeModel[]> {
  const groups = new Map<string, EdgeModel[]>();
  for (const edge of edges) {
    const group = groups.get(keyOf(edge));
    if (group === undefined) groups.set(keyOf(edge), [edge]);
    else group.push(edge);
  }
  return groups;
}

function edgeModel(edge: DraftEdge, { definition, settings }: Resolved): EdgeModel {
  const { from, port, to, input } = edge;
  // The schema has checked the settings; the draft keeps them as plain JSON.
  const own = (settings.get(edgeName(edge)) ?? {}) as Partial<EdgeModel>;
  return { via: "local", feedback: false, ...definition.defaults?.edge, ...own, from, port, to, input };
}

function nodeModel(
  name: string,
  inputs: readonly EdgeModel[],
  outputs: readonly EdgeModel[],
  { definition, nodes, times }: Resolved,
): AnyNodeModel {
  const node = definition.nodes[name] as NodeDefinition;
  const draft = nodes.get(name) as DraftNode;
  const timed = node.kind === "source" || node.kind === "window" ? times.fieldOf(name) : undefined;
  const model: NodeModel = {
    name,
    kind: node.kind,
    definition: node,
    ports: portsOf(draft),
    inputs,
    outputs,
    mode: node.mode ?? definition.defaults?.mode ?? "stream",
    mailbox: { ...definition.defaults?.mailbox, ...node.mailbox },
    restart: node.supervision?.restart ?? "permanent",
    isCommitted: isCommitted(draft),
    ...(timed === undefined ? {} : { timeField: timed }),
    ...(node.kind === "source" || node.align === undefined ? {} : { maxDriftMs: durationMs(node.align.maxDrift) }),
  };
  // Kind and definition agree by construction, which the mapped type cannot see.
  return model as AnyNodeModel;
}
