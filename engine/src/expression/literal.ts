/** Literals whose values compilers can use while they compile. */
import type { CelNode } from "./cel.ts";
import type { CelValue } from "./values.ts";

/** The elements of a list literal when they are all strings, or all numbers that a double holds. */
export function memberLiterals(node: CelNode): ReadonlySet<CelValue> | undefined {
  if (node.op !== "list") return undefined;
  const strings = node.args.filter((item) => item.op === "value" && typeof item.args === "string");
  if (strings.length === node.args.length) return new Set(strings.map((item) => item.args));
  const numbers = node.args.map(numberLiteral);
  return numbers.includes(undefined) ? undefined : new Set(numbers);
}

/** The number that a literal means, if a double holds it exactly. */
export function numberLiteral(node: CelNode): number | undefined {
  const literal = literalOf(node);
  if (typeof literal !== "bigint") return literal;
  return BigInt(Number(literal)) === literal ? Number(literal) : undefined;
}

/** Signs are applied before the conversion: an int has no negative zero, a double has. */
function literalOf(node: CelNode): number | bigint | undefined {
  if (node.op === "-_") {
    const positive = literalOf(node.args);
    return positive === undefined ? undefined : -positive;
  }
  if (node.op !== "value") return undefined;
  return typeof node.args === "number" || typeof node.args === "bigint" ? node.args : undefined;
}
