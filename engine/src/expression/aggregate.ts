/** Aggregate calls of windows, such as `count()` or `avg(event.delay)`. Their argument is an expression over one message. */
import { MillraceError, type Place } from "../errors.ts";
import { compileExpression, type Expression } from "./expression.ts";
import { expressionError } from "./expression-errors.ts";
import { nearest } from "./nearest.ts";

export const AGGREGATES = ["count", "sum", "avg", "min", "max"] as const;

export type AggregateFunction = (typeof AGGREGATES)[number];

export interface AggregateCall {
  readonly fn: AggregateFunction;
  /** Messages whose argument is `null` are left out. Absent only for `count()`, which counts every message. */
  readonly argument?: Expression;
}

const CALL = /^\s*([A-Za-z_]\w*)\s*\((.*)\)\s*$/s;

/** Throws `EXPR-INVALID`; `details.at` is the offset of the fault in `source`. */
export function parseAggregate(source: string, place?: Place): AggregateCall {
  const [, name = "", argument = ""] = CALL.exec(source) ?? [];
  if (!isAggregate(name))
    throw refused(source, unknownAggregate(name), source.length - source.trimStart().length, place);
  if (argument.trim() !== "") return { fn: name, argument: compileArgument(source, argument, place) };
  if (name === "count") return { fn: name };
  throw refused(source, `${name}() needs an argument, as in ${name}(event.amount)`, source.indexOf("(") + 1, place);
}

function isAggregate(name: string): name is AggregateFunction {
  return (AGGREGATES as readonly string[]).includes(name);
}

/** What other languages call them. */
const SYNONYMS: ReadonlyMap<string, AggregateFunction> = new Map([
  ["average", "avg"],
  ["mean", "avg"],
  ["total", "sum"],
  ["minimum", "min"],
  ["maximum", "max"],
]);

function unknownAggregate(name: string): string {
  const guess = SYNONYMS.get(name.toLowerCase()) ?? nearest(name, AGGREGATES);
  const hint = guess === undefined ? "" : `; did you mean ${guess}(…)?`;
  return `expected ${AGGREGATES.map((fn) => `${fn}(…)`).join(", ")}${hint}`;
}

function compileArgument(source: string, argument: string, place: Place | undefined): Expression {
  const start = source.indexOf("(") + 1 + argument.length - argument.trimStart().length;
  try {
    return compileExpression(argument.trim(), place === undefined ? undefined : shifted(place, start));
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    throw refused(source, thrown.message, start + Number(thrown.details?.at), place);
  }
}

function shifted(place: Place, by: number): Place {
  return place.column === undefined ? place : { ...place, column: place.column + by };
}

function refused(source: string, message: string, at: number, place: Place | undefined): Error {
  return expressionError("EXPR-INVALID", message, { place, details: { expression: source, at } });
}
