/**
 * Compiles a checked syntax tree once into nested closures over one message. Every closure throws {@link Failed} when the
 * message gives it no value. What reads no message is computed at compile time.
 */
import type { Json, JsonObject } from "../frame/json.ts";
import { type CelNode, constantOf, OPERANDS_MAX, operation } from "./cel.ts";
import { Failed, Hopeless } from "./failed.ts";
import { FUNCTIONS } from "./functions.ts";
import { compileMacro } from "./macros.ts";
import {
  type Arithmetic,
  BINARY,
  type BinaryOperator,
  DOUBLE,
  equal,
  MIRRORED,
  negated,
  noOverload,
  not,
  notBool,
  ORDERINGS,
  type Ordering,
  truth,
} from "./operators.ts";
import type { Row, RowContext } from "./row-context.ts";
import { macroOf, NO_SCOPE, pathOf, readsOf } from "./syntax.ts";
import { type CelValue, isMap, typeName } from "./values.ts";

export function compileRow(node: CelNode, context: RowContext = { scope: NO_SCOPE, slots: [] }): Row {
  const row = compileNode(node, context);
  if (node.op === "value") return row;
  const reads = readsOf(node, context.scope);
  if (reads.fields.size > 0 || reads.whole || reads.outer) return row;
  return folded(node, row);
}

function folded(node: CelNode, row: Row): Row {
  try {
    const value = row(null);
    return () => value;
  } catch (thrown) {
    if (!(thrown instanceof Failed)) throw thrown;
    if (node.op === "call" || node.op === "rcall") throw new Hopeless(thrown.message, thrown.at);
    return row;
  }
}

function compileNode(node: CelNode, context: RowContext): Row {
  const path = pathOf(node, context.scope);
  if (path !== undefined) return compilePath(path, node.pos);
  switch (node.op) {
    case "value": {
      const value = node.args;
      return () => value;
    }
    case "id":
      return compileName(node.args, context);
    case "&&":
    case "||":
      return compileLogic(node.op === "||", node.args, context);
    case "?:":
      return compileConditional(node.args, context);
    case "!_":
      return compileUnary(not, node.args, node.pos, context);
    case "-_":
      return compileUnary(negated, node.args, node.pos, context);
    case ".":
      return compileSelect(compileRow(node.args[0], context), () => node.args[1], node.pos);
    case "[]":
      return compileSelect(compileRow(node.args[0], context), compileRow(node.args[1], context), node.pos);
    case "list":
      return compileList(node.args, context);
    case "map":
      return compileMap(node.args, context);
    case "call":
    case "rcall":
      return compileCall(node, context);
    case ".?":
    case "[?]":
      throw new Hopeless("optional access is not part of this dialect; use has()", node.pos);
    default:
      return compileBinary(node.op, node.args, node.pos, context);
  }
}

function compileName(name: string, { scope, slots }: RowContext): Row {
  const slot = scope.get(name);
  if (slot !== undefined) return () => slots[slot];
  if (name === "event") return (event) => event;
  const value = constantOf(name);
  return () => value;
}

/** The member of a JSON value; its names are no names of `Object.prototype`, so a plain read finds own members only. */
function member(of: Json, key: string, at: number): Json {
  if (typeof of === "object" && of !== null && !Array.isArray(of)) {
    const value = (of as JsonObject)[key];
    if (value !== undefined) return value;
  }
  throw new Failed(`No such key: ${key}`, at);
}

function compilePath(path: readonly string[], at: number): Row {
  if (path.some((key) => key in Object.prototype))
    return (event) => path.reduce<CelValue>((of, key) => select(of, key, at), event);
  const [first, second] = path as [string, string?];
  if (second === undefined) return (event) => member(event, first, at);
  if (path.length === 2) return (event) => member(member(event, first, at), second, at);
  return (event) => {
    let value = event;
    for (const key of path) value = member(value, key, at);
    return value;
  };
}

function select(of: CelValue, key: CelValue, at: number): CelValue {
  if (Array.isArray(of)) return element(of, key, at);
  if (isMap(of) && Object.hasOwn(of, key as PropertyKey)) {
    const value = of[key as string];
    if (value !== undefined) return value;
  }
  throw new Failed(`No such key: ${key}`, at);
}

function element(of: readonly CelValue[], index: CelValue, at: number): CelValue {
  const value = typeof index === "bigint" || typeof index === "number" ? of[Number(index)] : undefined;
  if (value !== undefined) return value;
  throw new Failed(`No such key: index ${index} of a list of ${of.length}`, at);
}

function compileSelect(of: Row, key: Row, at: number): Row {
  return (event) => select(of(event), key(event), at);
}

function compileUnary(
  compute: (a: CelValue, at: number) => CelValue,
  operand: CelNode,
  at: number,
  context: RowContext,
): Row {
  const row = compileRow(operand, context);
  return (event) => compute(row(event), at);
}

/** `decisive` is the value of one side that settles the result whatever the other is, even a failure. */
function compileLogic(decisive: boolean, [left, right]: readonly [CelNode, CelNode], context: RowContext): Row {
  const a = compileRow(left, context);
  const b = compileRow(right, context);
  return (event) => {
    let failure: Failed;
    try {
      const value = a(event);
      if (value === decisive) return decisive;
      if (value === !decisive) return truth(b(event), right.pos);
      failure = notBool(value, left.pos);
    } catch (thrown) {
      if (!(thrown instanceof Failed)) throw thrown;
      failure = thrown;
    }
    if (b(event) === decisive) return decisive;
    throw failure;
  };
}

function compileConditional(
  [condition, then, otherwise]: readonly [CelNode, CelNode, CelNode],
  context: RowContext,
): Row {
  const test = compileRow(condition, context);
  const a = compileRow(then, context);
  const b = compileRow(otherwise, context);
  return (event) => (truth(test(event), condition.pos) ? a(event) : b(event));
}

function compileBinary(
  op: BinaryOperator,
  [left, right]: readonly [CelNode, CelNode],
  at: number,
  context: RowContext,
): Row {
  const a = compileRow(left, context);
  const b = compileRow(right, context);
  if (op in ORDERINGS) {
    const limit = numberLiteral(right);
    if (limit !== undefined) return compareWith(op as Ordering, a, limit, right, at);
    const mirrored = numberLiteral(left);
    if (mirrored !== undefined) return compareWith(MIRRORED[op as Ordering], b, mirrored, left, at);
  }
  if (op === "==" || op === "!=") {
    const other = numberLiteral(right);
    if (other !== undefined) return equalTo(op === "==", a, other, at);
  }
  if (op in DOUBLE) {
    const operand = numberLiteral(right);
    if (operand !== undefined) return computeWith(op as Arithmetic, a, operand, b, at);
  }
  const members = op === "in" ? memberLiterals(right) : undefined;
  if (members !== undefined) return memberOf(a, b, members, at);
  const compute = BINARY[op];
  return (event) => compute(a(event), b(event), at);
}

/** Spares doubles the conversion of an int literal for each message. */
function computeWith(op: Arithmetic, row: Row, operand: number, literal: Row, at: number): Row {
  const ofDoubles = DOUBLE[op];
  const general = BINARY[op];
  return (event) => {
    const value = row(event);
    return typeof value === "number" ? ofDoubles(value, operand) : general(value, literal(event), at);
  };
}

function equalTo(wanted: boolean, row: Row, other: number, at: number): Row {
  return (event) => {
    const value = row(event);
    if (typeof value === "number") return (value === other) === wanted;
    return equal(value, other, at) === wanted;
  };
}

/** The elements of a list literal when they are all strings, or all numbers that a double holds. */
export function memberLiterals(node: CelNode): ReadonlySet<CelValue> | undefined {
  if (node.op !== "list") return undefined;
  const strings = node.args.filter((item) => item.op === "value" && typeof item.args === "string");
  if (strings.length === node.args.length) return new Set(strings.map((item) => item.args));
  const numbers = node.args.map(numberLiteral);
  return numbers.includes(undefined) ? undefined : new Set(numbers);
}

function memberOf(row: Row, list: Row, members: ReadonlySet<CelValue>, at: number): Row {
  return (event) => {
    const value = row(event);
    if (typeof value === "number" || typeof value === "string") return members.has(value);
    return BINARY.in(value, list(event), at);
  };
}

/** The number that a literal means, if a double holds it exactly. */
export function numberLiteral(node: CelNode): number | undefined {
  if (node.op === "-_") {
    const positive = numberLiteral(node.args);
    return positive === undefined ? undefined : -positive;
  }
  if (node.op !== "value") return undefined;
  if (typeof node.args === "number") return node.args;
  return typeof node.args === "bigint" && BigInt(Number(node.args)) === node.args ? Number(node.args) : undefined;
}

function compareWith(op: Ordering, row: Row, limit: number, literal: CelNode, at: number): Row {
  const holds = ORDERINGS[op];
  const asWritten = literal.op === "value" ? literal.args : limit;
  return (event) => {
    const value = row(event);
    if (typeof value === "number") return holds(value, limit);
    if (typeof value === "bigint" || typeName(value) === "uint") return holds(value as number, limit);
    throw noOverload(op, value, asWritten, at);
  };
}

function compileList(items: readonly CelNode[], context: RowContext): Row {
  const rows = items.map((item) => compileRow(item, context));
  return (event) => rows.map((row) => row(event));
}

/** Keys that would reach into the prototype are left out, as the library does. */
const UNSAFE_KEYS = new Set<CelValue>(["__proto__", "constructor", "prototype"]);

function compileMap(entries: readonly (readonly [CelNode, CelNode])[], context: RowContext): Row {
  const rows = entries.map(([key, value]) => [compileRow(key, context), compileRow(value, context)] as const);
  return (event) => {
    const map: Record<string, CelValue> = {};
    for (const [key, value] of rows) {
      const name = key(event);
      const item = value(event);
      if (!UNSAFE_KEYS.has(name)) map[String(name)] = item;
    }
    return map;
  };
}

function compileCall(node: CelNode & { readonly op: "call" | "rcall" }, context: RowContext): Row {
  const macro = macroOf(node);
  if (macro !== undefined) return compileMacro(macro, node.pos, context, compileRow);
  const operands = node.op === "call" ? node.args[1] : [node.args[1], ...node.args[2]];
  if (operands.length > OPERANDS_MAX) throw new Hopeless(`more than ${OPERANDS_MAX} arguments`, node.pos);
  const rows = operands.map((operand) => compileRow(operand, context));
  const pattern = node.op === "rcall" && node.args[0] === "matches" ? operands[1] : undefined;
  if (pattern?.op === "value" && typeof pattern.args === "string")
    return compileMatch(rows[0] as Row, pattern.args, pattern.pos);
  return applied(callSource(node), rows, node.pos);
}

/** The call with its operands named `a0`, `a1` …: the key of {@link FUNCTIONS} and what the library is asked otherwise. */
function callSource(node: CelNode & { readonly op: "call" | "rcall" }): string {
  const names = (from: number, count: number): string =>
    Array.from({ length: count }, (_, i) => `a${from + i}`).join(", ");
  return node.op === "call"
    ? `${node.args[0]}(${names(0, node.args[1].length)})`
    : `a0.${node.args[0]}(${names(1, node.args[2].length)})`;
}

function applied(source: string, rows: readonly Row[], at: number): Row {
  const general = operation(source);
  const quick = FUNCTIONS.get(source);
  if (quick === undefined)
    return (event) =>
      general(
        rows.map((row) => row(event)),
        at,
      );
  const [a, b] = rows as [Row, Row?];
  return (event) => {
    const first = a(event);
    const second = b?.(event);
    return quick(first, second) ?? general(b === undefined ? [first] : [first, second], at);
  };
}

function compileMatch(text: Row, pattern: string, at: number): Row {
  const matcher = regularExpression(pattern, at);
  const general = operation("a0.matches(a1)");
  return (event) => {
    const value = text(event);
    return typeof value === "string" ? matcher.test(value) : general([value, pattern], at);
  };
}

function regularExpression(pattern: string, at: number): RegExp {
  try {
    return new RegExp(pattern);
  } catch {
    // The engine's text repeats the pattern and adds nothing.
    throw new Hopeless(`invalid regular expression: ${pattern}`, at);
  }
}
