/** Reading members: paths into the message, keys of maps, elements of lists. */
import type { Json, JsonObject } from "../frame/json.ts";
import { Failed } from "./failed.ts";
import type { Row } from "./row-context.ts";
import { type CelValue, isMap } from "./values.ts";

/** The member of a JSON value; its names are no names of `Object.prototype`, so a plain read finds own members only. */
function member(of: Json, key: string, at: number): Json {
  if (typeof of === "object" && of !== null && !Array.isArray(of)) {
    const value = (of as JsonObject)[key];
    if (value !== undefined) return value;
  }
  throw new Failed(`No such key: ${key}`, at);
}

export function compilePath(path: readonly string[], at: number): Row {
  if (path.some((key) => key in Object.prototype))
    return (event) => path.reduce<CelValue>((of, key) => select(of, key, at), event);
  const [first, second] = path as [string, string?];
  if (second === undefined) return (event) => member(event, first, at);
  if (path.length === 2) return (event) => member(member(event, first, at), second, at);
  return (event) => {
    let value = event;
    for (const key of path) value = member(value, key, at);
    return value;
  };
}

export function select(of: CelValue, key: CelValue, at: number): CelValue {
  if (Array.isArray(of)) return element(of, key, at);
  if (isMap(of) && Object.hasOwn(of, key as PropertyKey)) {
    const value = of[key as string];
    if (value !== undefined) return value;
  }
  throw new Failed(`No such key: ${key}`, at);
}

function element(of: readonly CelValue[], index: CelValue, at: number): CelValue {
  const value = typeof index === "bigint" || typeof index === "number" ? of[Number(index)] : undefined;
  if (value !== undefined) return value;
  throw new Failed(`No such key: index ${index} of a list of ${of.length}`, at);
}
