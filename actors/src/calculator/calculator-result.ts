/** Checks that what a calculator returned is JSON, and makes it so where JSON has one obvious form for it. */
import type { Json, PayloadFormat } from "@millrace/engine";
import { setField } from "@millrace/engine/worker";
import { actorError } from "../errors.ts";

/** Deeper values are taken for endless ones. */
const DEPTH_MAX = 200;

/**
 * The messages that a result stands for: none for `undefined`, each item of an array. As in `JSON.stringify`, fields that are
 * `undefined` are left out, numbers that are not finite become null, and `toJSON` is used; a plain result is not copied.
 *
 * @throws CALC-RESULT with the path of the value that is no JSON: functions, symbols, BigInt, promises, cycles
 */
export function messagesOf(result: unknown, bytesOf?: BytesOf): readonly Json[] {
  if (result === undefined) return NOTHING;
  const json = jsonOf(result, "", 0, bytesOf);
  return Array.isArray(json) ? (json as readonly Json[]) : [json];
}

/** What stands for bytes in a result, and for what `context.payload` made, which is `given` away. Absent: they are no JSON. */
export type BytesOf = (bytes: Uint8Array, format: PayloadFormat, isGiven: boolean) => unknown;

/** Bytes with a format, as an author returns them. */
export class PayloadResult {
  readonly bytes: Uint8Array;
  readonly format: PayloadFormat;

  constructor(bytes: Uint8Array, format: PayloadFormat) {
    this.bytes = bytes;
    this.format = format;
  }
}

const NOTHING: readonly Json[] = [];

function jsonOf(value: unknown, path: string, depth: number, bytesOf?: BytesOf): Json {
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
  if (Array.isArray(value)) return listOf(value, path, depth, bytesOf);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return instanceOf(value, path, depth, bytesOf);
  return objectOf(value, path, depth, bytesOf);
}

function listOf(list: readonly unknown[], path: string, depth: number, bytesOf?: BytesOf): Json {
  let copy: Json[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = list[i];
    const json = jsonOf(item, `${path}/${i}`, depth + 1, bytesOf);
    if (copy === undefined && json !== item) copy = list.slice(0, i) as Json[];
    copy?.push(json);
  }
  return copy ?? (list as Json);
}

function objectOf(object: object, path: string, depth: number, bytesOf?: BytesOf): Json {
  const fields = object as Record<string, unknown>;
  // Bytes are taken once, so what was made of a field is kept.
  let changed: Map<string, Json | undefined> | undefined;
  for (const name in fields) {
    const value = fields[name];
    // The path is only worth making for what may fail.
    if (typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && value - value === 0))
      continue;
    const json = value === undefined ? undefined : jsonOf(value, `${path}/${pointer(name)}`, depth + 1, bytesOf);
    if (json === value && value !== undefined) continue;
    changed ??= new Map();
    changed.set(name, json);
  }
  if (changed === undefined) return object as Json;
  const copy: Record<string, Json> = {};
  for (const [name, value] of Object.entries(fields)) {
    const json = changed.has(name) ? changed.get(name) : (value as Json);
    if (json !== undefined) setField(copy, name, json);
  }
  return copy;
}

function instanceOf(value: object, path: string, depth: number, bytesOf?: BytesOf): Json {
  if (bytesOf !== undefined) {
    if (value instanceof PayloadResult) return bytesOf(value.bytes, value.format, true) as Json;
    if (ArrayBuffer.isView(value))
      return bytesOf(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), "raw", false) as Json;
  }
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return jsonOf(toJSON.call(value), path, depth + 1, bytesOf);
  const name = value.constructor?.name ?? "object";
  // Objects of another realm (a vm, a worker) have prototypes of their own that are plain all the same.
  if (name === "Object") return objectOf(value, path, depth, bytesOf);
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
