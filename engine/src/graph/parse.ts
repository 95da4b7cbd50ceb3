/** Graph files: text to a checked model, or to every problem of the file at once. */
import type { Json } from "../frame/json.ts";
import { type CheckOptions, checkedModel } from "./check.ts";
import { readDocument } from "./document.ts";
import type { GraphModel } from "./model.ts";
import { NO_LOCATOR, type Problem, ProblemList } from "./problem.ts";
import type { GraphDefinition } from "./schema.ts";
import type { Environment } from "./substitution.ts";

export interface ParseOptions extends CheckOptions {
  /** Name of the file, for messages. */
  readonly file?: string;
  /** What `${VAR}` stands for. Default: nothing is set. */
  readonly env?: Environment;
}

export type ParsedGraph = { readonly graph: GraphModel } | { readonly problems: readonly Problem[] };

/**
 * Parses YAML or JSON of at most 1 MiB. Problems are sorted by line; there is at least one when there is no graph. Never
 * throws for what the text holds.
 */
export function parseGraph(text: string | Uint8Array, options: ParseOptions = {}): ParsedGraph {
  const { value, problems, locator } = readDocument(text, { file: options.file, env: options.env ?? {} });
  const graph = value === undefined ? undefined : checkedModel(value, locator, options, problems);
  return graph === undefined ? { problems: problems.sorted() } : { graph };
}

/** The same for a definition that is no text: from the builder, or the body of a request. */
export function resolveGraph(definition: GraphDefinition, options: CheckOptions = {}): ParsedGraph {
  const problems = new ProblemList(NO_LOCATOR);
  // Definitions come from code and may hold `undefined`; JSON is what the schema is about.
  const plain = JSON.parse(JSON.stringify(definition)) as Json;
  const graph = checkedModel(plain, NO_LOCATOR, options, problems);
  return graph === undefined ? { problems: problems.sorted() } : { graph };
}
