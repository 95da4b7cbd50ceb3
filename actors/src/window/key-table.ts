/**
 * Numbers the keys of a window, densely from 0, so that groups are found by array index. A key is one JSON value per `by`
 * field. Numbers mean something in this process only: logged state carries the values.
 */
import type { Column, Dictionary, Json } from "@millrace/engine";
import { cell } from "@millrace/engine";

/** Of a character of JavaScript's. */
const UTF8_BYTES_MAX = 3;

export class KeyTable {
  readonly fields: number;
  readonly #keys: (readonly Json[])[] = [];
  /** Bytes that the largest key takes at most, roughly. */
  bytesMax = 0;
  readonly #scalars = new Map<Json, number>();
  readonly #composites = new Map<string, number>();
  /** Key numbers of each dictionary's codes; of a single field only. */
  readonly #byDictionary = new WeakMap<Dictionary, Uint32Array>();

  constructor(fields: number) {
    this.fields = fields;
  }

  get size(): number {
    return this.#keys.length;
  }

  key(id: number): readonly Json[] {
    return this.#keys[id] as readonly Json[];
  }

  id(key: readonly Json[]): number {
    if (this.fields === 1 && (key[0] === null || typeof key[0] !== "object"))
      return this.#intern(this.#scalars, key[0] as Json, key);
    return this.#intern(this.#composites, canonical(key), key);
  }

  /** Key numbers of the messages at the physical indices `at` (`null`: `0 … n-1`). */
  ids(columns: readonly Column[], at: Uint32Array | null, n: number): Uint32Array {
    const ids = new Uint32Array(n);
    const [only] = columns;
    if (columns.length === 1 && only?.type === "dictionary" && only.nulls === null) {
      const { codes } = only;
      const byCode = this.#idsOf(only.dictionary);
      for (let i = 0; i < n; i++) ids[i] = byCode[codes[at === null ? i : (at[i] as number)] as number] as number;
      return ids;
    }
    for (let i = 0; i < n; i++) {
      const from = at === null ? i : (at[i] as number);
      ids[i] = this.id(columns.map((column) => cell(column, from)));
    }
    return ids;
  }

  #idsOf(dictionary: Dictionary): Uint32Array {
    const known = this.#byDictionary.get(dictionary);
    if (known !== undefined && known.length === dictionary.values.length) return known;
    const ids = Uint32Array.from(dictionary.values, (value, code) => known?.[code] ?? this.id([value]));
    this.#byDictionary.set(dictionary, ids);
    return ids;
  }

  #intern<T>(ids: Map<T, number>, token: T, key: readonly Json[]): number {
    let id = ids.get(token);
    if (id === undefined) {
      id = this.#keys.length;
      ids.set(token, id);
      this.#keys.push(key);
      if (typeof token === "string") this.bytesMax = Math.max(this.bytesMax, UTF8_BYTES_MAX * token.length);
    }
    return id;
  }
}

/** JSON text in which the order of an object's fields does not matter. */
function canonical(value: Json): string {
  return JSON.stringify(value, (_, part: Json) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
