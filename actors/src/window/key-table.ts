/**
 * Numbers the keys of a window, densely from 0, so that groups are found by array index. A key is one JSON value per `by`
 * field. Its fields are numbered first, and then what they make together, so that a key that is known costs no text. Numbers mean
 * something in this process only: logged state carries the values.
 */
import { type Column, cell, type Json } from "@millrace/engine";
import { canonical, FieldTable } from "./field-table.ts";

/** Of a character of JavaScript's. */
const UTF8_BYTES_MAX = 3;

export class KeyTable {
  readonly fields: number;
  readonly #tables: readonly FieldTable[];
  /** One per field but the first: numbers of a key's beginning, by that of what comes before the field and of the field. */
  readonly #pairs: readonly PairTable[];
  /** By number; of a single field made when they are asked for. */
  readonly #keys: (readonly Json[])[] = [];
  /** Where there are several fields or none: number of the key by that of its fields together. */
  readonly #numbers: number[] = [];
  #lengthMax = 0;

  constructor(fields: number) {
    this.fields = fields;
    this.#tables = Array.from({ length: fields }, () => new FieldTable());
    this.#pairs = Array.from({ length: Math.max(0, fields - 1) }, () => new PairTable());
  }

  get size(): number {
    return this.fields === 1 ? this.#table(0).values.length : this.#keys.length;
  }

  /** Bytes that the largest key takes at most, roughly. */
  get bytesMax(): number {
    return UTF8_BYTES_MAX * (this.fields === 1 ? this.#table(0).lengthMax : this.#lengthMax);
  }

  key(id: number): readonly Json[] {
    const known = this.#keys[id];
    if (known !== undefined) return known;
    const key = [this.#table(0).values[id] as Json];
    this.#keys[id] = key;
    return key;
  }

  id(key: readonly Json[]): number {
    let together = this.fields === 0 ? 0 : this.#table(0).id(key[0] as Json);
    if (this.fields === 1) return together;
    for (const [p, pairs] of this.#pairs.entries())
      together = pairs.id(together, this.#table(p + 1).id(key[p + 1] as Json));
    return this.#numbers[together] ?? this.#add(together, key);
  }

  /** Key numbers of the messages at the physical indices `at` (`null`: `0 … n-1`); there is a field. */
  ids(columns: readonly Column[], at: Uint32Array | null, n: number): Uint32Array {
    const ids = this.#table(0).ids(columns[0] as Column, at, n);
    if (this.fields === 1) return ids;
    for (const [p, pairs] of this.#pairs.entries()) {
      const field = this.#table(p + 1).ids(columns[p + 1] as Column, at, n);
      for (let i = 0; i < n; i++) ids[i] = pairs.id(ids[i] as number, field[i] as number);
    }
    for (let i = 0; i < n; i++) {
      const together = ids[i] as number;
      ids[i] = this.#numbers[together] ?? this.#add(together, keyAt(columns, at === null ? i : (at[i] as number)));
    }
    return ids;
  }

  #table(field: number): FieldTable {
    return this.#tables[field] as FieldTable;
  }

  #add(together: number, key: readonly Json[]): number {
    const id = this.#keys.length;
    this.#numbers[together] = id;
    this.#keys.push(key);
    this.#lengthMax = Math.max(this.#lengthMax, canonical(key).length);
    return id;
  }
}

function keyAt(columns: readonly Column[], at: number): readonly Json[] {
  return columns.map((column) => cell(column, at));
}

/** Numbers pairs of numbers, densely from 0. */
class PairTable {
  readonly #rows: (Map<number, number> | undefined)[] = [];
  #size = 0;

  id(a: number, b: number): number {
    const row = this.#rows[a];
    const known = row?.get(b);
    if (known !== undefined) return known;
    if (row === undefined) this.#rows[a] = new Map([[b, this.#size]]);
    else row.set(b, this.#size);
    return this.#size++;
  }
}
