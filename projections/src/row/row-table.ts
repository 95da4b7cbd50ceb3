/**
 * The rows of one projection as its fold sees them, on any store of byte strings. Rows are found by the fields of their key;
 * a projection without key fields keeps every row, in the order in which they came.
 */
import {
  type Batch,
  ColumnBatch,
  fieldOf,
  invariant,
  isJsonObject,
  type Json,
  type JsonObject,
} from "@millrace/engine";
import { Bytes } from "./bytes.ts";
import { columnWriter } from "./column-writer.ts";
import { fitted, indexKey, keyOf, writeKeyField } from "./key-codec.ts";
import { readRow, type Shapes, writeCell, writeRow } from "./row-codec.ts";
import type { RowLayout, RowSpace, Rows } from "./rows.ts";

/** Position and number within it: the key of rows that have none of their own. */
const PLACE_FIELDS = 2;

export class RowTable implements Rows {
  /** Rows written since the caller last set it to 0. */
  written = 0;
  readonly #fields: readonly string[];
  readonly #index: string | undefined;
  readonly #shapes: Shapes;
  readonly #key: Bytes = new Bytes();
  readonly #value: Bytes = new Bytes();
  #space: RowSpace;
  #position = 0;
  #ord = 0;

  constructor({ key, index }: RowLayout, shapes: Shapes, space: RowSpace) {
    this.#fields = key;
    this.#index = index;
    this.#shapes = shapes;
    this.#space = space;
  }

  /** What follows is written to `space`. */
  enter(space: RowSpace): void {
    this.#space = space;
  }

  /** What follows is the fold of the event at `position`. */
  at(position: number): void {
    this.#position = position;
    this.#ord = 0;
  }

  get(...key: readonly Json[]): JsonObject | undefined {
    return this.#read(this.#keyOf(key));
  }

  find(value: Json): JsonObject | undefined {
    const key = this.#space.get(indexKey(value));
    return key === undefined ? undefined : this.#read(key);
  }

  put(row: JsonObject): void {
    const key = this.#key.reset();
    if (this.#fields.length === 0) this.#writePlace(key);
    for (const field of this.#fields) writeKeyField(fieldOf(row, field) ?? null, key);
    writeRow(row, this.#shapes, this.#value.reset());
    this.#store();
    if (this.#index !== undefined) this.#space.put(indexKey(fieldOf(row, this.#index) ?? null), fitted(key.done()));
  }

  putBatch(batch: Batch): void {
    if (batch instanceof ColumnBatch && this.#index === undefined) this.#putColumns(batch);
    else for (const row of batch.rows()) this.put(isJsonObject(row) ? row : { value: row });
  }

  delete(...key: readonly Json[]): void {
    const bytes = this.#keyOf(key);
    const row = this.#index === undefined ? undefined : this.#read(bytes);
    if (row !== undefined && this.#index !== undefined) this.#space.delete(indexKey(fieldOf(row, this.#index) ?? null));
    this.#space.delete(bytes);
    this.written += 1;
  }

  #putColumns(batch: ColumnBatch): void {
    const shape = this.#shapes.numberOf([...batch.columns.keys()]);
    const cells = Array.from(batch.columns.values(), (column) => columnWriter(column, writeCell, true));
    const fields = this.#fields.map((name) => {
      const column = batch.columns.get(name) ?? { type: "json" as const, values: [] };
      return columnWriter(column, writeKeyField, false);
    });
    const key = this.#key;
    const value = this.#value;
    for (let i = 0; i < batch.n; i++) {
      const at = batch.at(i);
      key.reset();
      if (fields.length === 0) this.#writePlace(key);
      for (const write of fields) write(at, key);
      value.reset().uint16(shape);
      for (const write of cells) write(at, value);
      this.#store();
    }
  }

  #read(key: Uint8Array): JsonObject | undefined {
    const bytes = this.#space.get(key);
    return bytes === undefined ? undefined : readRow(bytes, this.#shapes);
  }

  #keyOf(key: readonly Json[]): Uint8Array {
    const wanted = this.#fields.length || PLACE_FIELDS;
    invariant(key.length === wanted, `a key of ${key.length} values where a row has ${wanted}`);
    return keyOf(key);
  }

  #writePlace(key: Bytes): void {
    writeKeyField(this.#position, key);
    writeKeyField(this.#ord, key);
    this.#ord += 1;
  }

  #store(): void {
    this.#space.put(fitted(this.#key.done()), this.#value.done());
    this.written += 1;
  }
}
