/** CEL's operators on values whose types are known only at run time. Common types are decided here, the rest by the library. */
import { type Operation, operation } from "./cel.ts";
import { Failed } from "./failed.ts";
import { type CelValue, isMap, typeName } from "./values.ts";

export type BinaryOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "+" | "-" | "*" | "/" | "%";
export type Ordering = "<" | "<=" | ">" | ">=";
export type Binary = (a: CelValue, b: CelValue, at: number) => CelValue;

const INT_MAX = 2n ** 63n - 1n;
const INT_MIN = -(2n ** 63n);

const libraryEqual: Operation = operation("a0 == a1");

/** CEL's equality: numbers by value across types, lists and maps deeply, values of different types unequal. */
export function equal(a: CelValue, b: CelValue, at: number): boolean {
  if (a === b) return true;
  const typeA = typeof a;
  const typeB = typeof b;
  if (typeA === "object" && a !== null && typeB === "object" && b !== null) return libraryEqual([a, b], at) === true;
  if (typeA === typeB) return false;
  // biome-ignore lint/suspicious/noDoubleEquals: `==` between bigint and number compares their mathematical values.
  if ((typeA === "number" && typeB === "bigint") || (typeA === "bigint" && typeB === "number")) return a == b;
  return (isUint(a) || isUint(b)) && libraryEqual([a, b], at) === true;
}

function isUint(value: CelValue): boolean {
  return typeof value === "object" && value !== null && typeName(value) === "uint";
}

/** The four orderings on two values that {@link comparable} accepts. */
export const ORDERINGS: Readonly<Record<Ordering, (a: number, b: number) => boolean>> = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

/** The ordering that holds for `(b, a)` when the given one holds for `(a, b)`. */
export const MIRRORED: Readonly<Record<Ordering, Ordering>> = { "<": ">", "<=": ">=", ">": "<", ">=": "<=" };

const NUMERIC = new Set(["int", "uint", "double"]);
const SELF_ORDERED = new Set(["bool", "string", "timestamp", "duration"]);

function comparable(a: CelValue, b: CelValue): boolean {
  const typeA = typeName(a);
  const typeB = typeName(b);
  return typeA === typeB ? NUMERIC.has(typeA) || SELF_ORDERED.has(typeA) : NUMERIC.has(typeA) && NUMERIC.has(typeB);
}

function ordering(op: Ordering): Binary {
  const holds = ORDERINGS[op];
  return (a, b, at) => {
    if (typeof a === "number" && typeof b === "number") return holds(a, b);
    if (!comparable(a, b)) throw noOverload(op, a, b, at);
    // All comparable types order by their primitive value, mixed numbers exactly.
    return holds(a as number, b as number);
  };
}

export function noOverload(op: string, a: CelValue, b: CelValue, at: number): Failed {
  return new Failed(`no such overload: ${typeName(a)} ${op} ${typeName(b)}`, at);
}

export type Arithmetic = "+" | "-" | "*" | "/" | "%";

export const DOUBLE: Readonly<Record<Arithmetic, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
};

const INT: Readonly<Record<Arithmetic, (a: bigint, b: bigint) => bigint>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
};

function arithmetic(op: Arithmetic): Binary {
  const ofDoubles = DOUBLE[op];
  const ofOthers = operation(`a0 ${op} a1`);
  return (a, b, at) => {
    if (typeof a === "number") {
      if (typeof b === "number") return ofDoubles(a, b);
      if (typeof b === "bigint") return ofDoubles(a, Number(b));
    } else if (typeof a === "bigint") {
      if (typeof b === "number") return ofDoubles(Number(a), b);
      if (typeof b === "bigint") return ofInts(op, a, b, at);
    } else if (op === "+" && typeof a === "string" && typeof b === "string") return a + b;
    return ofOthers([a, b], at);
  };
}

function ofInts(op: Arithmetic, a: bigint, b: bigint, at: number): bigint {
  if (b === 0n && op === "/") throw new Failed("division by zero", at);
  if (b === 0n && op === "%") throw new Failed("modulo by zero", at);
  const result = INT[op](a, b);
  // The library checks what can leave 64 bits by sum, difference and product only.
  if ((result > INT_MAX || result < INT_MIN) && op !== "/") throw new Failed(`integer overflow: ${result}`, at);
  return result;
}

/** Membership in a list, by {@link equal}, or of a key in a map. */
function isIn(value: CelValue, of: CelValue, at: number): boolean {
  if (Array.isArray(of)) {
    for (const item of of) if (equal(value, item, at)) return true;
    return false;
  }
  if (isMap(of)) return Object.hasOwn(of, value as PropertyKey) && of[value as string] !== undefined;
  throw noOverload("in", value, of, at);
}

export const BINARY: Readonly<Record<BinaryOperator, Binary>> = {
  "==": equal,
  "!=": (a, b, at) => !equal(a, b, at),
  "<": ordering("<"),
  "<=": ordering("<="),
  ">": ordering(">"),
  ">=": ordering(">="),
  in: isIn,
  "+": arithmetic("+"),
  "-": arithmetic("-"),
  "*": arithmetic("*"),
  "/": arithmetic("/"),
  "%": arithmetic("%"),
};

export function not(a: CelValue, at: number): boolean {
  if (typeof a === "boolean") return !a;
  throw new Failed(`no such overload: !${typeName(a)}`, at);
}

export function negated(a: CelValue, at: number): CelValue {
  if (typeof a === "number" || typeof a === "bigint") return -a;
  throw new Failed(`no such overload: -${typeName(a)}`, at);
}

export function truth(value: CelValue, at: number): boolean {
  if (typeof value === "boolean") return value;
  throw notBool(value, at);
}

export function notBool(value: CelValue, at: number): Failed {
  return new Failed(`expected a bool, got ${typeName(value)}`, at);
}
