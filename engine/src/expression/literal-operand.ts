/** Operators with a literal on one side: what the literal is need not be found out again for each message. */
import type { CelNode } from "./cel.ts";
import { type Arithmetic, BINARY, DOUBLE, equal, noOverload, ORDERINGS, type Ordering } from "./operators.ts";
import type { Row } from "./row-context.ts";
import { type CelValue, typeName } from "./values.ts";

/** Spares doubles the conversion of an int literal for each message. */
export function computeWith(op: Arithmetic, row: Row, operand: number, literal: Row, at: number): Row {
  const ofDoubles = DOUBLE[op];
  const general = BINARY[op];
  return (event) => {
    const value = row(event);
    return typeof value === "number" ? ofDoubles(value, operand) : general(value, literal(event), at);
  };
}

export function equalTo(wanted: boolean, row: Row, other: number, at: number): Row {
  return (event) => {
    const value = row(event);
    if (typeof value === "number") return (value === other) === wanted;
    return equal(value, other, at) === wanted;
  };
}

export function memberOf(row: Row, list: Row, members: ReadonlySet<CelValue>, at: number): Row {
  return (event) => {
    const value = row(event);
    if (typeof value === "number" || typeof value === "string") return members.has(value);
    return BINARY.in(value, list(event), at);
  };
}

export function compareWith(op: Ordering, row: Row, limit: number, literal: CelNode, at: number): Row {
  const holds = ORDERINGS[op];
  const asWritten = literal.op === "value" ? literal.args : limit;
  return (event) => {
    const value = row(event);
    if (typeof value === "number") return holds(value, limit);
    if (typeof value === "bigint" || typeName(value) === "uint") return holds(value as number, limit);
    throw noOverload(op, value, asWritten, at);
  };
}
