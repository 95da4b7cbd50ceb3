/**
 * Values inside an expression, in the library's representation: int is a bigint, double a number, timestamp a `Date`, bytes a
 * `Uint8Array`, the rest is JSON. At the edge everything becomes JSON again.
 */
import { Duration, UnsignedInt } from "@marcbachmann/cel-js/evaluator";
import { isoTime, type Json } from "../frame/json.ts";
import { Failed } from "./failed.ts";

/** A CEL value: `unknown`, because what an expression yields is known only when it ran. */
export type CelValue = unknown;

/** The name CEL gives to the type of a value, for messages. */
export function typeName(value: CelValue): string {
  switch (typeof value) {
    case "bigint":
      return "int";
    case "number":
      return "double";
    case "boolean":
      return "bool";
    case "object":
      return objectTypeName(value);
    default:
      return typeof value;
  }
}

function objectTypeName(value: object | null): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  if (value instanceof Date) return "timestamp";
  if (value instanceof Duration) return "duration";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof UnsignedInt) return "uint";
  return isMap(value) ? "map" : "type";
}

/** True for objects that stand for CEL maps: messages, what is nested in them, and map literals. */
export function isMap(value: CelValue): value is Readonly<Record<string, CelValue>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * The JSON form of a result. Ints become numbers (beyond 2^53 the nearest), timestamps ISO 8601 strings, durations seconds with
 * an `s` and bytes base64 strings as in protobuf's JSON mapping. Numbers that JSON cannot say (NaN, infinities) are failures;
 * negative zero is zero.
 * Lists and maps that need no change are returned as they are, not copied.
 */
export function toJson(value: CelValue, at: number): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      // JSON has one zero.
      if (Number.isFinite(value)) return value === 0 ? 0 : value;
      throw new Failed(`the result is ${value}, which JSON cannot say`, at);
    case "bigint":
      return Number(value);
    case "object":
      return value === null ? null : objectToJson(value, at);
    default:
      throw new Failed(`a ${typeof value} is no result`, at);
  }
}

function objectToJson(value: object, at: number): Json {
  if (Array.isArray(value)) return listToJson(value, at);
  if (isMap(value)) return mapToJson(value, at);
  if (value instanceof Date) return isoTime(value.getTime());
  if (value instanceof Duration) return value.toString();
  if (value instanceof UnsignedInt) return Number(value.valueOf());
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  if ("name" in value && typeof value.name === "string") return value.name;
  throw new Failed("the result has no JSON form", at);
}

function listToJson(list: readonly CelValue[], at: number): Json {
  let copy: Json[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = toJson(list[i], at);
    if (copy === undefined && !Object.is(item, list[i])) copy = list.slice(0, i) as Json[];
    copy?.push(item);
  }
  return copy ?? (list as readonly Json[]);
}

function mapToJson(map: Readonly<Record<string, CelValue>>, at: number): Json {
  let changed = false;
  const entries: [string, Json][] = [];
  for (const key of Object.keys(map)) {
    const item = toJson(map[key], at);
    if (!Object.is(item, map[key])) changed = true;
    entries.push([key, item]);
  }
  return changed ? Object.fromEntries(entries) : (map as { readonly [key: string]: Json });
}
