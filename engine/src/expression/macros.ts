/** CEL's macros as loops: `has`, `all`, `exists`, `exists_one`, `map`, `filter`, and `cel.bind`. */
import type { CelNode } from "./cel.ts";
import { Failed, Hopeless } from "./failed.ts";
import { truth } from "./operators.ts";
import type { Row, RowContext } from "./row-context.ts";
import type { Macro } from "./syntax.ts";
import { type CelValue, isMap, typeName } from "./values.ts";

export type Compile = (node: CelNode, context: RowContext) => Row;

/** `compile` compiles what is inside the macro. */
export function compileMacro(macro: Macro, at: number, context: RowContext, compile: Compile): Row {
  if (macro.variable === undefined) return compileHas(macro.range, context, compile);
  const slot = context.slots.push(undefined) - 1;
  const inner: RowContext = { scope: new Map(context.scope).set(macro.variable, slot), slots: context.slots };
  const range = compile(macro.range, context);
  const [first, second] = macro.bodies.map((body) => compile(body, inner)) as [Row, Row?];
  const loop: Loop = { range, slot, slots: context.slots, at };
  switch (macro.name) {
    case "all":
      return quantifier(loop, first, false);
    case "exists":
      return quantifier(loop, first, true);
    case "exists_one":
      return exactlyOne(loop, first);
    case "filter":
      return collected(loop, first, undefined);
    case "map":
      return second === undefined ? collected(loop, undefined, first) : collected(loop, first, second);
    default:
      return bound(loop, first);
  }
}

interface Loop {
  readonly range: Row;
  readonly slot: number;
  readonly slots: CelValue[];
  readonly at: number;
}

/** Elements of a list, keys of a map. */
function itemsOf(range: CelValue, at: number): readonly CelValue[] {
  if (Array.isArray(range)) return range;
  if (isMap(range)) return Object.keys(range);
  throw new Failed(`expected a list or a map to loop over, got ${typeName(range)}`, at);
}

/** `decisive` ends the loop. A failure of one element counts only when no other element is decisive. */
function quantifier({ range, slot, slots, at }: Loop, test: Row, decisive: boolean): Row {
  return (event) => {
    let failure: Failed | undefined;
    for (const item of itemsOf(range(event), at)) {
      slots[slot] = item;
      try {
        if (truth(test(event), at) === decisive) return decisive;
      } catch (thrown) {
        if (!(thrown instanceof Failed)) throw thrown;
        failure ??= thrown;
      }
    }
    if (failure !== undefined) throw failure;
    return !decisive;
  };
}

function exactlyOne({ range, slot, slots, at }: Loop, test: Row): Row {
  return (event) => {
    let count = 0;
    for (const item of itemsOf(range(event), at)) {
      slots[slot] = item;
      if (truth(test(event), at)) count++;
    }
    return count === 1;
  };
}

function collected({ range, slot, slots, at }: Loop, test: Row | undefined, transform: Row | undefined): Row {
  return (event) => {
    const out: CelValue[] = [];
    for (const item of itemsOf(range(event), at)) {
      slots[slot] = item;
      if (test !== undefined && !truth(test(event), at)) continue;
      out.push(transform === undefined ? item : transform(event));
    }
    return out;
  };
}

function bound({ range, slot, slots }: Loop, body: Row): Row {
  return (event) => {
    slots[slot] = range(event);
    return body(event);
  };
}

/** True when the last key of a chain is present, null or not; a missing key before the last is a failure. */
function compileHas(chain: CelNode, context: RowContext, compile: Compile): Row {
  const keys: string[] = [];
  let root = chain;
  for (; root.op === "."; root = root.args[0]) keys.push(root.args[1]);
  const last = keys.shift();
  if (last === undefined || root.op !== "id")
    throw new Hopeless("has() takes a field, as in has(event.a.b)", chain.pos);
  keys.reverse();
  const of = compile(root, context);
  return (event) => {
    let value = of(event);
    for (const key of keys) {
      value = memberOrUndefined(value, key);
      if (value === undefined) throw new Failed(`No such key: ${key}`, chain.pos);
    }
    return memberOrUndefined(value, last) !== undefined;
  };
}

function memberOrUndefined(of: CelValue, key: string): CelValue {
  return isMap(of) && Object.hasOwn(of, key) ? of[key] : undefined;
}
