/** Numbers the values of one field of a key, densely from 0. Values are one if their JSON is, whatever the order of an object's fields. */
import { type Column, cell, type Dictionary, type Json } from "@millrace/engine";

export class FieldTable {
  /** By number. */
  readonly values: Json[] = [];
  /** Length of the longest text that was numbered, an object's JSON included. */
  lengthMax = 0;
  readonly #scalars = new Map<Json, number>();
  readonly #objects = new Map<string, number>();
  /** By code: its number + 1, or 0 until a message has it. A dictionary holds what filtered-out messages had, too. */
  readonly #byDictionary = new WeakMap<Dictionary, Uint32Array>();

  id(value: Json): number {
    if (value !== null && typeof value === "object") return this.#intern(this.#objects, canonical(value), value);
    // JSON has no such numbers; it writes them as null.
    return this.#intern(this.#scalars, typeof value === "number" && !Number.isFinite(value) ? null : value, value);
  }

  /** Numbers of the cells at the physical indices `at` (`null`: `0 … n-1`). */
  ids(column: Column, at: Uint32Array | null, n: number): Uint32Array {
    const ids = new Uint32Array(n);
    if (column.type === "dictionary" && column.nulls === null) {
      this.#codeIds(column.codes, column.dictionary, at, ids);
      return ids;
    }
    for (let i = 0; i < n; i++) ids[i] = this.id(cell(column, at === null ? i : (at[i] as number)));
    return ids;
  }

  #codeIds(codes: Uint32Array | Uint16Array, dictionary: Dictionary, at: Uint32Array | null, ids: Uint32Array): void {
    const byCode = this.#idsOf(dictionary);
    for (let i = 0; i < ids.length; i++) {
      const code = codes[at === null ? i : (at[i] as number)] as number;
      if (byCode[code] === 0) byCode[code] = this.id(dictionary.values[code] as Json) + 1;
      ids[i] = (byCode[code] as number) - 1;
    }
  }

  /** With room for all codes. */
  #idsOf(dictionary: Dictionary): Uint32Array {
    const known = this.#byDictionary.get(dictionary);
    const codes = dictionary.values.length;
    if (known !== undefined && known.length >= codes) return known;
    const grown = new Uint32Array(Math.max(codes, 2 * (known?.length ?? 0)));
    if (known !== undefined) grown.set(known);
    this.#byDictionary.set(dictionary, grown);
    return grown;
  }

  #intern<T>(ids: Map<T, number>, token: T, value: Json): number {
    const known = ids.get(token);
    if (known !== undefined) return known;
    const id = this.values.length;
    ids.set(token, id);
    this.values.push(value);
    if (typeof token === "string") this.lengthMax = Math.max(this.lengthMax, token.length);
    return id;
  }
}

/** JSON text in which the order of an object's fields does not matter. */
export function canonical(value: Json): string {
  return JSON.stringify(value, (_, part: Json) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
