/**
 * A definition on its way to a model. Checks read it through here, because parts of it may be wrong: what does not have the
 * right type is absent, so that one mistake is reported once and does not hide the others.
 */
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";
import { isNodeKind } from "./published-schema.ts";
import type { NodeKind } from "./schema-node.ts";

export interface DraftNode {
  readonly name: string;
  /** `undefined` when unknown; then nothing about the node can be judged. */
  readonly kind: NodeKind | undefined;
  /** Whether it is in `mode: state`, by itself or by the graph's defaults. */
  readonly isInStateMode: boolean;
  text(key: string): string | undefined;
  flag(key: string): boolean;
  has(key: string): boolean;
  /** Entries of a map of texts. */
  texts(key: string): readonly (readonly [string, string])[];
  /** Texts of a list. */
  list(key: string): readonly string[];
  /** Of a source: the fields that are sealed. */
  readonly personalFields: readonly string[];
  /** A map of whatever; empty when it is none. */
  map(key: string): JsonObject;
  /** Nodes or ports that it takes messages from, with where each is written. */
  readonly inputs: readonly DraftInput[];
}

export interface DraftInput {
  readonly reference: string;
  readonly path: readonly (string | number)[];
}

export function draftNodes(definition: Json): ReadonlyMap<string, DraftNode> {
  const { nodes, defaults } = isJsonObject(definition) ? definition : {};
  const mode = isJsonObject(defaults) ? defaults.mode : undefined;
  const drafts = new Map<string, DraftNode>();
  if (isJsonObject(nodes))
    for (const [name, node] of Object.entries(nodes)) drafts.set(name, draftNode(name, node, mode));
  return drafts;
}

function draftNode(name: string, node: Json, defaultMode: Json | undefined): DraftNode {
  const fields = isJsonObject(node) ? node : {};
  return {
    name,
    kind: isNodeKind(fields.kind) ? fields.kind : undefined,
    isInStateMode: (fields.mode ?? defaultMode) === "state",
    text: (key) => (typeof fields[key] === "string" ? fields[key] : undefined),
    flag: (key) => fields[key] === true,
    has: (key) => fields[key] !== undefined,
    texts: (key) => textEntries(fields[key]),
    list: (key) => textItems(fields[key]),
    personalFields: isJsonObject(fields.personal) ? textItems(fields.personal.fields) : [],
    map: (key) => (isJsonObject(fields[key]) ? fields[key] : {}),
    inputs: [...inputsOf(name, "input", fields.input), ...inputsOf(name, "inputs", fields.inputs)],
  };
}

function textItems(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function textEntries(value: Json | undefined): readonly (readonly [string, string])[] {
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([key, text]) => (typeof text === "string" ? [[key, text] as const] : []));
}

function inputsOf(name: string, key: string, value: Json | undefined): readonly DraftInput[] {
  const path = ["nodes", name, key];
  if (typeof value === "string") return [{ reference: value, path }];
  if (!Array.isArray(value)) return [];
  return value.flatMap((reference, i) => (typeof reference === "string" ? [{ reference, path: [...path, i] }] : []));
}

/** Ports that messages leave a node by: `out`, a switch's cases, a window's `late`. Sinks have none. */
export function portsOf(node: DraftNode): readonly string[] {
  if (node.kind === "sink") return [];
  if (node.kind !== "switch")
    return node.kind === "window" && node.text("late") === "output" ? ["out", "late"] : ["out"];
  const otherwise = node.text("otherwise");
  return [...new Set([...node.texts("cases").map(([name]) => name), ...(otherwise === undefined ? [] : [otherwise])])];
}

/** Nodes whose results are logged: with state, or with code whose result nobody else can compute again. */
export function isCommitted(node: DraftNode): boolean {
  if (node.isInStateMode || node.kind === "window") return true;
  return node.kind === "calculator" && !node.flag("pure");
}
