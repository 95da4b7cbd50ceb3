/** What the compilers ask of a syntax tree: paths into the message, what a subtree reads, which calls are macros. */
import type { CelNode } from "./cel.ts";

/** Loop variables in scope, by name; the value is where the row compiler keeps them. */
export type Scope = ReadonlyMap<string, number>;

export const NO_SCOPE: Scope = new Map();

/** `["a", "b"]` for `event.a.b` or `event["a"].b`; undefined for anything else, and for `event` alone. */
export function pathOf(node: CelNode, scope: Scope): readonly string[] | undefined {
  const keys: string[] = [];
  let at = node;
  for (;;) {
    if (at.op === ".") keys.push(at.args[1]);
    else if (at.op === "[]" && at.args[1].op === "value" && typeof at.args[1].args === "string")
      keys.push(at.args[1].args);
    else break;
    at = at.args[0];
  }
  const rooted = at.op === "id" && at.args === "event" && !scope.has("event");
  return rooted && keys.length > 0 ? keys.reverse() : undefined;
}

export interface Reads {
  /** Top-level fields of the message. */
  readonly fields: Set<string>;
  /** The message is used other than by a named field. */
  whole: boolean;
  /** A loop variable from outside the subtree is used. */
  outer: boolean;
}

export function readsOf(node: CelNode, scope: Scope): Reads {
  const reads: Reads = { fields: new Set(), whole: false, outer: false };
  collect(node, scope, NO_SCOPE, reads);
  return reads;
}

function collect(node: CelNode, outer: Scope, inner: Scope, reads: Reads): void {
  const path = pathOf(node, inner.has("event") ? inner : outer);
  if (path !== undefined) {
    reads.fields.add(path[0] as string);
    return;
  }
  if (node.op === "id") {
    if (inner.has(node.args)) return;
    if (outer.has(node.args)) reads.outer = true;
    else if (node.args === "event") reads.whole = true;
    return;
  }
  const macro = macroOf(node);
  if (macro !== undefined && macro.variable !== undefined) {
    collect(macro.range, outer, inner, reads);
    const bound = new Map(inner).set(macro.variable, 0);
    for (const body of macro.bodies) collect(body, outer, bound, reads);
    return;
  }
  for (const child of childrenOf(node)) collect(child, outer, inner, reads);
}

export function childrenOf(node: CelNode): readonly CelNode[] {
  switch (node.op) {
    case "value":
    case "id":
      return [];
    case ".":
    case ".?":
      return [node.args[0]];
    case "call":
      return node.args[1];
    case "rcall":
      return [node.args[1], ...node.args[2]];
    case "map":
      return node.args.flat();
    case "!_":
    case "-_":
      return [node.args];
    default:
      return node.args;
  }
}

export type MacroName = "has" | "all" | "exists" | "exists_one" | "map" | "filter" | "bind";

export interface Macro {
  readonly name: MacroName;
  /** What is looped over, what is bound, or what `has` is asked about. */
  readonly range: CelNode;
  /** The loop variable or bound name; undefined for `has`. */
  readonly variable: string | undefined;
  readonly bodies: readonly CelNode[];
}

const LOOPS: ReadonlyMap<string, readonly number[]> = new Map([
  ["all", [2]],
  ["exists", [2]],
  ["exists_one", [2]],
  ["map", [2, 3]],
  ["filter", [2]],
]);

/** The macro that a call stands for. A macro's loop variable is a plain name; the library's parser has seen to that. */
export function macroOf(node: CelNode): Macro | undefined {
  if (node.op === "call") {
    const [name, args] = node.args;
    const range = args[0];
    return name === "has" && args.length === 1 && range !== undefined
      ? { name, range, variable: undefined, bodies: [] }
      : undefined;
  }
  if (node.op !== "rcall") return undefined;
  const [name, receiver, [variable, ...bodies]] = node.args;
  if (variable?.op !== "id") return undefined;
  if (name === "bind" && receiver.op === "id" && receiver.args === "cel" && bodies.length === 2) {
    const [range, body] = bodies as [CelNode, CelNode];
    return { name, range, variable: variable.args, bodies: [body] };
  }
  if (LOOPS.get(name)?.includes(bodies.length + 1) !== true) return undefined;
  return { name: name as MacroName, range: receiver, variable: variable.args, bodies };
}
