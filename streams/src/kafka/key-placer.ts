/**
 * Where the rows of a batch go: the keys of all are placed together, and of a dictionary column each entry once, however many rows
 * and batches have it.
 */
import {
  type Batch,
  ColumnBatch,
  cells,
  type Dictionary,
  type DictionaryColumn,
  fieldOf,
  type Json,
  type PartitionKernel,
} from "@millrace/engine";
import { kafkaError } from "./errors.ts";
import { partitionsOf } from "./partitioner.ts";

/** By row. */
export interface RowPlaces {
  readonly keys: readonly string[];
  readonly partitions: readonly number[];
}

interface Entries {
  /** `undefined`: the entry is no key. */
  readonly keys: (string | undefined)[];
  readonly partitions: number[];
}

export interface KeyPlacerOptions {
  readonly topic: string;
  /** Field of a row that its key is in. */
  readonly field: string;
  readonly partitions: number;
  readonly kernel: PartitionKernel | undefined;
}

export class KeyPlacer {
  readonly #options: KeyPlacerOptions;
  readonly #entries = new WeakMap<Dictionary, Entries>();

  constructor(options: KeyPlacerOptions) {
    this.#options = options;
  }

  /** @throws KAFKA-KEY a row has no key */
  places(batch: Batch): RowPlaces {
    const { field, partitions, kernel } = this.#options;
    const column = batch instanceof ColumnBatch ? batch.columns.get(field) : undefined;
    if (batch instanceof ColumnBatch && column?.type === "dictionary") {
      const entries = this.#entriesOf(column.dictionary, batch.n);
      if (entries !== undefined) return this.#ofEntries(batch, column, entries);
    }
    const keys = valuesOf(batch, field).map((value) => textOf(value) ?? this.#refuse(value));
    return { keys, partitions: partitionsOf(keys, partitions, kernel) };
  }

  /** `undefined` when more of them are new than there are rows: then these are placed for less. */
  #entriesOf(dictionary: Dictionary, rows: number): Entries | undefined {
    const { partitions, kernel } = this.#options;
    const entries = this.#entries.get(dictionary) ?? { keys: [], partitions: [] };
    const known = entries.keys.length;
    if (dictionary.values.length - known > rows) return undefined;
    const fresh = dictionary.values.slice(known).map(textOf);
    const texts = fresh.map((key) => key ?? "");
    const placed = partitionsOf(texts, partitions, kernel);
    for (let i = 0; i < fresh.length; i++) {
      entries.keys.push(fresh[i]);
      entries.partitions.push(placed[i] as number);
    }
    this.#entries.set(dictionary, entries);
    return entries;
  }

  #ofEntries(batch: ColumnBatch, { codes, nulls }: DictionaryColumn, entries: Entries): RowPlaces {
    const keys = new Array<string>(batch.n);
    const partitions = new Array<number>(batch.n);
    for (let i = 0; i < batch.n; i++) {
      const at = batch.at(i);
      const code = codes[at] as number;
      const key = nulls?.[at] === 1 ? undefined : entries.keys[code];
      keys[i] = key ?? this.#refuse(fieldOf(batch.row(i), this.#options.field));
      partitions[i] = entries.partitions[code] as number;
    }
    return { keys, partitions };
  }

  #refuse(value: Json | undefined): never {
    const { topic, field } = this.#options;
    const said = JSON.stringify(value) ?? "nothing";
    throw kafkaError("KAFKA-KEY", `a row for topic ${topic} has ${said} in \`${field}\``);
  }
}

function valuesOf(batch: Batch, field: string): readonly (Json | undefined)[] {
  if (!(batch instanceof ColumnBatch)) return batch.rows().map((row) => fieldOf(row, field));
  const column = batch.columns.get(field);
  return column === undefined ? new Array<undefined>(batch.n).fill(undefined) : cells(column, batch.selection, batch.n);
}

/** `undefined`: the value is no key. */
function textOf(value: Json | undefined): string | undefined {
  return value === undefined || value === null || typeof value === "object" ? undefined : String(value);
}
