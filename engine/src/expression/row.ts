/**
 * Compiles a checked syntax tree once into nested closures over one message. Every closure throws {@link Failed} when the
 * message gives it no value. What reads no message is computed at compile time.
 */
import { setField } from "../frame/field.ts";
import { applied, callSource, compileMatch } from "./call.ts";
import { type CelNode, constantOf, OPERANDS_MAX } from "./cel.ts";
import { Failed, Hopeless } from "./failed.ts";
import { memberLiterals, numberLiteral } from "./literal.ts";
import { compareWith, computeWith, equalTo, memberOf } from "./literal-operand.ts";
import { compileMacro } from "./macros.ts";
import { compilePath, select } from "./member.ts";
import {
  type Arithmetic,
  BINARY,
  type BinaryOperator,
  DOUBLE,
  MIRRORED,
  negated,
  not,
  notBool,
  ORDERINGS,
  type Ordering,
  truth,
} from "./operators.ts";
import type { Row, RowContext } from "./row-context.ts";
import { macroOf, NO_SCOPE, pathOf, readsOf } from "./syntax.ts";
import type { CelValue } from "./values.ts";

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

function compileList(items: readonly CelNode[], context: RowContext): Row {
  const rows = items.map((item) => compileRow(item, context));
  return (event) => rows.map((row) => row(event));
}

function compileMap(entries: readonly (readonly [CelNode, CelNode])[], context: RowContext): Row {
  const rows = entries.map(([key, value]) => [compileRow(key, context), compileRow(value, context)] as const);
  return (event) => {
    const map: Record<string, CelValue> = {};
    for (const [key, value] of rows) {
      const name = key(event);
      setField(map, String(name), value(event));
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
