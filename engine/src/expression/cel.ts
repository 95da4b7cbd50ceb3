/**
 * The CEL dialect of graph files, on top of the library that parses, checks and (for what is rare) evaluates it.
 *
 * `event` is the message, of dynamic type. JSON has one kind of number, which CEL calls double; so that `event.n * 2` means
 * what it says, arithmetic between int and double is defined here and gives a double. Comparisons across number types are
 * CEL's own. Lists and maps may hold values of several types.
 */
import { type ASTNode, Environment, EvaluationError, type ParseResult } from "@marcbachmann/cel-js";
import { messageOf } from "../errors.ts";
import { Failed } from "./failed.ts";

export type CelNode = ASTNode;

/** Bounds of one expression: what a person writes stays far below, what could exhaust the stack does not get through. */
const LIMITS = { maxAstNodes: 10_000, maxDepth: 100 } as const;

const MIXED_ARITHMETIC: readonly (readonly [string, (a: number, b: number) => number])[] = [
  ["+", (a, b) => a + b],
  ["-", (a, b) => a - b],
  ["*", (a, b) => a * b],
  ["/", (a, b) => a / b],
  ["%", (a, b) => a % b],
];

/** Parses and checks; its evaluator is the reference that the compiled forms agree with. */
export const cel: Environment = (() => {
  const env = new Environment({ homogeneousAggregateLiterals: false, limits: LIMITS }).registerVariable("event", "dyn");
  for (const [op, compute] of MIXED_ARITHMETIC) {
    env.registerOperator(`double ${op} int: double`, (a: number, b: bigint) => compute(a, Number(b)));
    env.registerOperator(`int ${op} double: double`, (a: bigint, b: number) => compute(Number(a), b));
  }
  env.registerOperator("double % double: double", (a: number, b: number) => a % b);
  return env;
})();

/** Most operands of one call that {@link operation} can pass. */
export const OPERANDS_MAX = 8;

const operations: Environment = (() => {
  const env = cel.clone();
  for (let i = 0; i < OPERANDS_MAX; i++) env.registerVariable(`a${i}`, "dyn");
  return env;
})();

export type Operation = (operands: readonly unknown[], at: number) => unknown;

const known = new Map<string, Operation>();

/**
 * One operation as the library defines it, its operands written `a0`, `a1` … in `source`: for combinations of types that are
 * too rare to deserve code of our own. `source` comes from a fixed set of operators and functions, so the cache is bounded.
 */
export function operation(source: string): Operation {
  const found = known.get(source);
  if (found !== undefined) return found;
  const made = operationOf(operations.parse(source));
  known.set(source, made);
  return made;
}

function operationOf(run: ParseResult): Operation {
  return (operands, at) => {
    const context: Record<string, unknown> = {};
    for (let i = 0; i < operands.length; i++) context[`a${i}`] = operands[i];
    try {
      return run(context);
    } catch (thrown) {
      throw failureOf(thrown, at);
    }
  };
}

/** The value of a name that CEL itself defines, such as `int` or `google`. */
export function constantOf(name: string): unknown {
  return cel.evaluate(name);
}

/**
 * Anything the library throws for given values is about those values; some of it comes from the platform, an unknown time zone
 * for one. It says `dyn<string>` where it knows a type only from the value; a reader of the message does not care.
 */
function failureOf(thrown: unknown, at: number): Failed {
  const message = thrown instanceof EvaluationError ? thrown.summary : messageOf(thrown);
  return new Failed(message.replaceAll(/dyn<([\w.]+)>/g, "$1"), at);
}
