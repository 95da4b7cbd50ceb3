/** Definitions as graph files. */
import type { GraphDefinition } from "./schema.ts";
import { yamlLibrary } from "./yaml-library.ts";

export interface FormatOptions {
  /** Where editors find the JSON Schema; they then complete and check. Default: no such line. */
  readonly schemaUrl?: string;
}

/** YAML that `parseGraph` reads as the same definition, whatever its environment. */
export function formatGraph(definition: GraphDefinition, { schemaUrl }: FormatOptions = {}): string {
  const head = schemaUrl === undefined ? "" : `# yaml-language-server: $schema=${schemaUrl}\n`;
  return head + yamlLibrary().stringify(escaped(definition), { lineWidth: 120, aliasDuplicateObjects: false });
}

/** `${` in a text would be substituted when it is read again; secrets stay references either way. */
function escaped(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/\$\{(?!(?:env|file):)/g, "$$$${");
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escaped(item)]));
}
