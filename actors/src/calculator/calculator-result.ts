/** Checks that what a calculator returned is JSON, and makes it so where JSON has one obvious form for it. */
import type { Json } from "@millrace/engine";
import { actorError } from "../errors.ts";

/** Deeper values are taken for endless ones. */
const DEPTH_MAX = 200;

/**
 * The messages that a result stands for: none for `undefined`, each item of an array. As in `JSON.stringify`, fields that are
 * `undefined` are left out, numbers that are not finite become null, and `toJSON` is used; a plain result is not copied.
 *
 * @throws CALC-RESULT with the path of the value that is no JSON: functions, symbols, BigInt, promises, cycles
 */
export function messagesOf(result: unknown): readonly Json[] {
  if (result === undefined) return NOTHING;
  const json = jsonOf(result, "", 0);
  return Array.isArray(json) ? (json as readonly Json[]) : [json];
}

const NOTHING: readonly Json[] = [];

function jsonOf(value: unknown, path: string, depth: number): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return value - value === 0 ? value : null;
    case "object":
      break;
    default:
      throw notJson(typeof value === "undefined" ? "undefined" : `a ${typeof value}`, path);
  }
  if (value === null) return null;
  if (depth > DEPTH_MAX) throw notJson("a cycle, or a value nested too deeply", path);
  if (Array.isArray(value)) return listOf(value, path, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return instanceOf(value, path, depth);
  return objectOf(value, path, depth);
}

function listOf(list: readonly unknown[], path: string, depth: number): Json {
  let copy: Json[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = list[i];
    const json = jsonOf(item, `${path}/${i}`, depth + 1);
    if (copy === undefined && json !== item) copy = list.slice(0, i) as Json[];
    copy?.push(json);
  }
  return copy ?? (list as Json);
}

function objectOf(object: object, path: string, depth: number): Json {
  const fields = object as Record<string, unknown>;
  let isJson = true;
  for (const name in fields) {
    const value = fields[name];
    // The path is only worth making for what may fail.
    if (typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && value - value === 0))
      continue;
    if (value === undefined || jsonOf(value, `${path}/${pointer(name)}`, depth + 1) !== value) isJson = false;
  }
  if (isJson) return object as Json;
  const copy: Record<string, Json> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) copy[name] = jsonOf(value, `${path}/${pointer(name)}`, depth + 1);
  }
  return copy;
}

function instanceOf(value: object, path: string, depth: number): Json {
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return jsonOf(toJSON.call(value), path, depth + 1);
  const name = value.constructor?.name ?? "object";
  // Objects of another realm (a vm, a worker) have prototypes of their own that are plain all the same.
  if (name === "Object") return objectOf(value, path, depth);
  throw notJson(name === "Promise" ? "a promise" : `an instance of ${name}`, path);
}

function pointer(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

function notJson(what: string, path: string): Error {
  return actorError("CALC-RESULT", `the result is not JSON: ${what} at ${path === "" ? "its root" : path}`, {
    place: { path },
  });
}
