/** Fields of rows by names that come from elsewhere: a file, a graph, another process. Any text may be one, `constructor` and `__proto__` too. */
import { isJsonObject, type Json } from "./json.ts";

/** The one name that no assignment makes a field of: it chooses the prototype of the row. */
export const PROTOTYPE = "__proto__";

/** Every object has a `constructor`, which is no field. What is inherited is never JSON: to see that costs less than to ask whose a field is. */
export function fieldOf(row: Json | undefined, name: string): Json | undefined {
  if (!isJsonObject(row)) return undefined;
  const value: unknown = row[name];
  return typeof value === "function" || value === Object.prototype ? undefined : (value as Json | undefined);
}

/** Makes a field of the row, whatever its name is. */
export function setField<T>(row: Record<string, T>, name: string, value: T): void {
  if (name === PROTOTYPE)
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true });
  else row[name] = value;
}
