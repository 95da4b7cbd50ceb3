/** Cuts decoded row groups into batches of columns, without copying. Positions are row numbers from 0. */
import {
  type Column,
  ColumnBatch,
  Dictionary,
  type Json,
  Positions,
  type SourceBatch,
  type SourceReader,
} from "@millrace/engine";
import type { FlatColumn, RowGroup, RowGroups } from "./row-group.ts";

/** A shared dictionary with more entries is no longer worth sharing. */
const DICTIONARY_ENTRIES_MAX = 65_536;

export class RowGroupReader implements SourceReader {
  readonly #groups: RowGroups;
  readonly #dictionaries = new Map<string, Dictionary>();
  #group: RowGroup | undefined;
  #columns: readonly (readonly [string, Column])[] = [];
  /** First row not yet handed out. */
  #next: number;
  readonly #closed: Promise<"idle">;
  #isClosed = false;
  #close: (answer: "idle") => void = () => {};

  /** Hands out rows from number `next` on; `groups` begins with the group that has it. */
  constructor(groups: RowGroups, next: number) {
    this.#groups = groups;
    this.#next = next;
    this.#closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  read(messagesMax: number): Promise<SourceBatch | "idle" | "end"> {
    if (this.#isClosed) return this.#closed;
    const reading = this.#read(messagesMax);
    // Closing ends the read at once; what it was reading may then fail unheard.
    reading.catch(() => {});
    return Promise.race([this.#closed, reading]);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#close("idle");
    await this.#groups.close();
  }

  async #read(messagesMax: number): Promise<SourceBatch | "end"> {
    while (this.#group === undefined || this.#next >= this.#group.first + this.#group.n) {
      const group = await this.#groups.next();
      if (group === undefined) return "end";
      this.#group = group;
      this.#columns = group.columns.map(([name, column]) => [name, this.#columnOf(name, column)]);
    }
    const start = this.#next - this.#group.first;
    const n = Math.min(messagesMax, this.#group.n - start);
    const columns = new Map(this.#columns.map(([name, column]) => [name, part(column, start, start + n)]));
    const first = this.#next;
    this.#next += n;
    return {
      batch: new ColumnBatch(columns, null, n),
      positions: Positions.dense(first, n),
      through: this.#next - 1,
      rejected: [],
    };
  }

  #columnOf(name: string, column: FlatColumn): Column {
    if (column.type === "json") return { type: "json", values: column.values as readonly Json[] };
    if (column.type !== "text") return column;
    const { entries, codes, nulls } = column;
    if (entries.length > codes.length / 2) {
      const values = new Array<Json>(codes.length);
      for (let i = 0; i < values.length; i++)
        values[i] = nulls?.[i] === 1 ? null : (entries[codes[i] as number] as string);
      return { type: "json", values };
    }
    const dictionary = this.#dictionaryFor(name, entries.length);
    const shared = Uint32Array.from(entries.map((entry) => dictionary.code(entry)));
    for (let i = 0; i < codes.length; i++) codes[i] = shared[codes[i] as number] as number;
    return { type: "dictionary", codes, dictionary, nulls };
  }

  #dictionaryFor(name: string, entries: number): Dictionary {
    const known = this.#dictionaries.get(name);
    if (known !== undefined && known.values.length + entries <= DICTIONARY_ENTRIES_MAX) return known;
    const fresh = new Dictionary();
    this.#dictionaries.set(name, fresh);
    return fresh;
  }
}

function part(column: Column, start: number, end: number): Column {
  if (column.type === "json") return { type: "json", values: column.values.slice(start, end) };
  const nulls = column.nulls === null ? null : column.nulls.subarray(start, end);
  switch (column.type) {
    case "dictionary":
      return { ...column, codes: column.codes.subarray(start, end), nulls };
    case "number":
      return { ...column, values: column.values.subarray(start, end), nulls };
    case "boolean":
      return { ...column, values: column.values.subarray(start, end), nulls };
    case "time":
      return { ...column, values: column.values.subarray(start, end), nulls };
  }
}
