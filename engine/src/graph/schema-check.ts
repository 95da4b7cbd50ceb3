/** Checks a value against the graph schema and says what is wrong in terms of the format, one message per mistake. */
import { createRequire } from "node:module";
import type { Ajv, ErrorObject, ValidateFunction } from "ajv";
import { didYouMean } from "../expression/nearest.ts";
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";
import { DELIMITER_PATTERN, delimiterFault } from "./delimiter.ts";
import { parseDuration } from "./duration.ts";
import type { Path, ProblemList } from "./problem.ts";
import { isNodeKind, keysOfKind, NODE_KINDS, schemaAroundNodes, schemaOfKind } from "./published-schema.ts";

const require = createRequire(import.meta.url);
let checker: Ajv | undefined;
const aroundNodes = schemaAroundNodes();
const compiled = new Map<JsonObject, ValidateFunction>();

export function checkSchema(value: Json, problems: ProblemList): void {
  checkMap(aroundNodes, value, [], problems);
  for (const [name, node] of Object.entries(mapOf(mapOf(value)?.nodes) ?? {})) {
    const kind = mapOf(node)?.kind;
    if (isNodeKind(kind)) checkMap(schemaOfKind(kind), node, ["nodes", name], problems);
    else if (mapOf(node) !== undefined) unknownKind(kind, ["nodes", name], problems);
  }
}

/** Checks a map, and then each map in it by itself: to compile what a graph does not say takes longer than all else that checks it. */
function checkMap(schema: JsonObject, value: Json, place: Path, problems: ProblemList): void {
  const validate = compiled.get(schema) ?? schemaChecker().compile(withoutMaps(schema));
  compiled.set(schema, validate);
  if (!validate(value))
    for (const error of validate.errors ?? []) report(error, [...place, ...pathOf(error)], problems);
  for (const [key, inner] of Object.entries(mapOf(schema.properties) ?? {})) {
    const said = mapOf(mapOf(value)?.[key]);
    if (said !== undefined && isClosedMap(inner)) checkMap(inner, said, [...place, key], problems);
  }
}

/** Many files, which only processes that read graph files load. */
function schemaChecker(): Ajv {
  if (checker !== undefined) return checker;
  const { Ajv } = require("ajv") as typeof import("ajv");
  checker = new Ajv({
    allErrors: true,
    strict: false,
    verbose: true,
    code: { optimize: false },
    // The schema's own test does it.
    validateSchema: false,
    meta: false,
  });
  checker.addFormat("millrace-duration", (text: string) => "ms" in parseDuration(text));
  return checker;
}

function withoutMaps(schema: JsonObject): JsonObject {
  const properties = Object.entries(mapOf(schema.properties) ?? {});
  return {
    ...schema,
    properties: Object.fromEntries(
      properties.map(([key, inner]) => [key, isClosedMap(inner) ? { type: "object" } : inner]),
    ),
  };
}

function isClosedMap(schema: Json): schema is JsonObject {
  return mapOf(schema)?.additionalProperties === false;
}

function mapOf(value: Json | undefined): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined;
}

function pathOf({ instancePath }: ErrorObject): Path {
  const keys = instancePath.split("/").slice(1);
  return keys.map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function report(error: ErrorObject, path: Path, problems: ProblemList): void {
  switch (error.keyword) {
    case "additionalProperties":
      unknownKey(error, path, problems);
      break;
    case "required":
      missingKey(String(error.params.missingProperty), path, problems);
      break;
    case "propertyNames": {
      const name = String(error.params.propertyName);
      problems.add("GRAPH-SCHEMA", [...path, name], badName(name), "key");
      break;
    }
    case "format":
      badDuration(String(error.data), path, problems);
      break;
    case "pattern":
      // Of keys, `propertyNames` has said it.
      if (error.propertyName === undefined) problems.add("GRAPH-SCHEMA", path, badText(error));
      break;
    default:
      problems.add("GRAPH-SCHEMA", path, describe(error));
  }
}

function unknownKey({ params, parentSchema, data }: ErrorObject, path: Path, problems: ProblemList): void {
  const key = String(params.additionalProperty);
  const known = Object.keys((parentSchema?.properties as object | undefined) ?? {});
  const kind: unknown = path.length === 2 && path[0] === "nodes" ? (data as { kind?: unknown }).kind : undefined;
  const guess = didYouMean(key, known);
  const message = `unknown key \`${key}\`${isNodeKind(kind) ? ` of a ${kind}` : ""}`;
  problems.add("GRAPH-SCHEMA", [...path, key], `${message}${guess === "" ? alternatives(key, known) : guess}`, "key");
}

/** A key of other kinds of node is told from one that nobody has. */
function alternatives(key: string, known: readonly string[]): string {
  const owners = NODE_KINDS.filter((kind) => keysOfKind(kind).includes(key));
  return owners.length > 0 ? `; it belongs to ${owners.join(", ")}` : `; known are ${known.join(", ")}`;
}

function missingKey(key: string, path: Path, problems: ProblemList): void {
  const of = path.length === 2 && path[0] === "nodes" ? ` of node \`${path[1]}\`` : "";
  problems.add("GRAPH-SCHEMA", path, `key \`${key}\`${of} is missing`, "key");
}

function unknownKind(kind: Json | undefined, path: Path, problems: ProblemList): void {
  const kinds = NODE_KINDS.join(", ");
  if (typeof kind === "string") {
    const hint = didYouMean(kind, NODE_KINDS) || `: ${kinds}`;
    problems.add("GRAPH-SCHEMA", [...path, "kind"], `unknown kind \`${kind}\`${hint}`);
  } else problems.add("GRAPH-SCHEMA", path, `\`kind\` of node \`${path.at(-1)}\` is missing: ${kinds}`, "key");
}

function badName(name: string): string {
  return `\`${name}\` is no name: a letter, then letters, digits, \`-\` or \`_\``;
}

function badText({ params, data }: ErrorObject): string {
  const text = String(data);
  return (params.pattern === DELIMITER_PATTERN ? delimiterFault(text) : undefined) ?? badName(text);
}

function badDuration(text: string, path: Path, problems: ProblemList): void {
  const result = parseDuration(text);
  if ("fault" in result) problems.add("GRAPH-TIME", path, `\`${text}\`: ${result.fault}`, { index: result.at });
}

function describe({ keyword, params, data, message }: ErrorObject): string {
  switch (keyword) {
    case "enum": {
      const allowed = params.allowedValues as readonly string[];
      return `unknown value ${show(data)}${(typeof data === "string" && didYouMean(data, allowed)) || `: ${allowed.join(", ")}`}`;
    }
    case "type":
      return `expected ${[params.type].flat().map(typeText).join(" or ")}, got ${got(data)}`;
    case "minLength":
      return "must not be empty";
    case "minItems":
    case "minProperties":
      return "needs at least one entry";
    case "uniqueItems":
      return `${show((data as readonly unknown[])[Number(params.i)])} is listed twice`;
    case "minimum":
      return `must be at least ${params.limit}`;
    case "maximum":
      return `must be at most ${params.limit}`;
    case "exclusiveMinimum":
      return `must be greater than ${params.limit}`;
    default:
      return message ?? keyword;
  }
}

const TYPE_TEXTS: ReadonlyMap<unknown, string> = new Map([
  ["object", "a map"],
  ["array", "a list"],
  ["string", "a text"],
  ["number", "a number"],
  ["integer", "a whole number"],
  ["boolean", "true or false"],
]);

function typeText(type: unknown): string {
  return TYPE_TEXTS.get(type) ?? String(type);
}

function got(data: unknown): string {
  if (data === null) return "nothing";
  if (typeof data === "object") return Array.isArray(data) ? "a list" : "a map";
  return show(data);
}

const SHOWN_MAX = 60;

function show(data: unknown): string {
  const text = JSON.stringify(data) ?? String(data);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
