/** The identity of a definition: equal for equal content, whatever the order of its keys and the layout of its file. */
import { createHash } from "node:crypto";
import type { Json } from "../frame/json.ts";

/** JSON with sorted keys and no blanks (RFC 8785 for values that YAML and JSON can say). */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
}

/** SHA-256 of the {@link canonicalJson}, in hex. */
export function definitionHash(definition: Json): string {
  return createHash("sha256").update(canonicalJson(definition)).digest("hex");
}
