/**
 * A graph as its tests run it: sources read rows out of files, sinks write files, and all edges are within the process. Between them
 * every node is what it is.
 */
import type { GraphDefinition, NodeDefinition, SinkDefinition, SourceDefinition } from "@millrace/engine";

/** Of a node, in the folder of the test. */
export function rowsFile(node: string): string {
  return `${node}.ndjson`;
}

/** @param folder absolute path of the folder that the files of sources are in; sinks write where the graph writes */
export function testedDefinition(definition: GraphDefinition, folder: string): GraphDefinition {
  const { tests: _tests, edges, defaults, ...rest } = definition;
  const nodes = Object.entries(definition.nodes).map(([name, node]) => [name, tested(name, node, folder)]);
  const local = Object.entries(edges ?? {}).map(([name, edge]) => [name, withoutVia(edge)]);
  return {
    ...rest,
    ...(defaults === undefined ? {} : { defaults: { ...defaults, edge: withoutVia(defaults.edge ?? {}) } }),
    nodes: Object.fromEntries(nodes),
    edges: Object.fromEntries(local),
  };
}

function withoutVia({ via: _via, ...edge }: { readonly via?: unknown }): object {
  return edge;
}

function tested(name: string, node: NodeDefinition, folder: string): NodeDefinition {
  if (node.kind === "source") return testedSource(name, node, folder);
  return node.kind === "sink" ? testedSink(name, node) : node;
}

function testedSource(name: string, node: SourceDefinition, folder: string): SourceDefinition {
  const { kind, time, watermark, batch, mode, supervision } = node;
  const kept = defined({ time, watermark, batch, mode, supervision });
  return { kind, from: `file:${folder}/${rowsFile(name)}`, ...kept };
}

function testedSink(name: string, node: SinkDefinition): SinkDefinition {
  const { kind, input, mailbox, mode, supervision } = node;
  return { kind, input, to: `file:${rowsFile(name)}`, ...defined({ mailbox, mode, supervision }) };
}

/** Without the keys that are not there. */
function defined<T extends object>(keys: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
