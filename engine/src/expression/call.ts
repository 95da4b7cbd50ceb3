/** Calls of CEL's functions and methods. */
import { type CelNode, operation } from "./cel.ts";
import { Hopeless } from "./failed.ts";
import { FUNCTIONS } from "./functions.ts";
import type { Row } from "./row-context.ts";

/** The call with its operands named `a0`, `a1` …: the key of {@link FUNCTIONS} and what the library is asked otherwise. */
export function callSource(node: CelNode & { readonly op: "call" | "rcall" }): string {
  const names = (from: number, count: number): string =>
    Array.from({ length: count }, (_, i) => `a${from + i}`).join(", ");
  return node.op === "call"
    ? `${node.args[0]}(${names(0, node.args[1].length)})`
    : `a0.${node.args[0]}(${names(1, node.args[2].length)})`;
}

export function applied(source: string, rows: readonly Row[], at: number): Row {
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
    return quick(first, second, at) ?? general(b === undefined ? [first] : [first, second], at);
  };
}

export function compileMatch(text: Row, pattern: string, at: number): Row {
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
