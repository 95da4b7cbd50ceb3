/**
 * The JSON Schema of graph files as it is published, `engine/schemas/graph.schema.json`, which a test keeps equal to schema.ts. Processes
 * read this file: what schema.ts is written with is hundreds of modules, which each of them would load to come to the same.
 */
import { createRequire } from "node:module";
import type { JsonObject } from "../frame/json.ts";
import type { NodeKind } from "./schema-node.ts";

interface NodeSchema extends JsonObject {
  readonly properties: { readonly kind: { readonly const: NodeKind } } & JsonObject;
}

interface GraphSchema extends JsonObject {
  readonly properties: {
    readonly nodes: JsonObject & {
      readonly additionalProperties: JsonObject & { readonly oneOf: readonly NodeSchema[] };
    };
  } & JsonObject;
}

/** JSON Schema (draft 7) of a graph, with OpenAPI's `discriminator` on nodes. */
export const graphSchema: GraphSchema = createRequire(import.meta.url)("../../schemas/graph.schema.json");

const kinds: ReadonlyMap<unknown, NodeSchema> = new Map(
  graphSchema.properties.nodes.additionalProperties.oneOf.map((node) => [node.properties.kind.const, node]),
);

export const NODE_KINDS = [...kinds.keys()] as readonly NodeKind[];

export function isNodeKind(kind: unknown): kind is NodeKind {
  return kinds.has(kind);
}

export function schemaOfKind(kind: NodeKind): NodeSchema {
  return kinds.get(kind) as NodeSchema;
}

/** Keys that a node of the kind may have. */
export function keysOfKind(kind: NodeKind): readonly string[] {
  return Object.keys(schemaOfKind(kind).properties);
}

/** What is said of a graph beside what its nodes say, which is in {@link schemaOfKind}. */
export function schemaAroundNodes(): JsonObject {
  const { nodes } = graphSchema.properties;
  const outline = { ...nodes, additionalProperties: { type: "object" } };
  return { ...graphSchema, properties: { ...graphSchema.properties, nodes: outline } };
}
