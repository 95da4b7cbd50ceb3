/** Compiles every expression of a definition, so that a mistake shows before anything runs, at its character in the file. */
import { MillraceError } from "../errors.ts";
import { parseAggregate } from "../expression/aggregate.ts";
import { compileExpression } from "../expression/expression.ts";
import type { DraftNode } from "./draft.ts";
import type { Path, ProblemList } from "./problem.ts";

/** What an expression, or a list of field names, takes from the messages that arrive at a node. */
export interface FieldUse {
  readonly path: Path;
  /** The expression as written; the field's own name where a field is named. */
  readonly source: string;
  readonly fields: readonly string[];
}

/** Answers the fields that valid expressions read. */
export function checkExpressions(node: DraftNode, problems: ProblemList): readonly FieldUse[] {
  const uses: FieldUse[] = [];
  const run = (source: string, path: Path, check: Check): void => {
    uses.push({ path, source, fields: check(source, path, problems) });
  };
  const at = (...keys: readonly string[]): Path => ["nodes", node.name, ...keys];
  const one = (key: string, check: Check): void => {
    const source = node.text(key);
    if (source !== undefined) run(source, at(key), check);
  };
  const each = (key: string, check: Check): void => {
    for (const [name, source] of node.texts(key)) run(source, at(key, name), check);
  };
  switch (node.kind) {
    case "filter":
      one("where", checkPredicate);
      break;
    case "map":
      each("set", checkValue);
      one("value", checkValue);
      break;
    case "enrich":
      one("key", checkValue);
      break;
    case "window":
      each("by", checkValue);
      each("compute", checkAggregate);
      break;
    case "switch":
      each("cases", checkPredicate);
      break;
    default:
      break;
  }
  return uses;
}

/** Answers the fields that the expression reads. */
type Check = (source: string, path: Path, problems: ProblemList) => readonly string[];

export const checkValue: Check = (source, path, problems) =>
  attempt(source, path, problems, compileExpression)?.fields ?? [];

const checkPredicate: Check = (source, path, problems) => {
  const expression = attempt(source, path, problems, compileExpression);
  if (expression === undefined) return [];
  if (expression.type !== "bool" && expression.type !== "dyn") {
    problems.add("GRAPH-EXPR", path, `expected true or false, but this is a ${expression.type}`);
  }
  return expression.fields;
};

const checkAggregate: Check = (source, path, problems) =>
  attempt(source, path, problems, parseAggregate)?.argument?.fields ?? [];

function attempt<T>(source: string, path: Path, problems: ProblemList, compile: (source: string) => T): T | undefined {
  // An empty text is reported by the schema.
  if (source === "") return undefined;
  try {
    return compile(source);
  } catch (thrown) {
    if (!(thrown instanceof MillraceError) || thrown.code !== "EXPR-INVALID") throw thrown;
    problems.add("GRAPH-EXPR", path, thrown.message, { index: Number(thrown.details?.at ?? 0) });
    return undefined;
  }
}
