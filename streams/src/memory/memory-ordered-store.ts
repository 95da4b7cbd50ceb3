/**
 * The ordered store in memory. Keys are kept as Latin-1 strings, whose order is that of their bytes. A transaction runs
 * during the call and notes how to undo each write; an exception undoes them in reverse.
 */
import {
  type Entry,
  KEY_BYTES_MAX,
  type Key,
  type OrderedReader,
  type OrderedStore,
  type OrderedWriter,
  type RangeOptions,
  storeError,
} from "@millrace/engine";
import { SortedMap } from "./sorted-map.ts";

export function memoryOrderedStore(): OrderedStore {
  return new MemoryOrderedStore();
}

type Table = SortedMap<Uint8Array>;

class MemoryOrderedStore implements OrderedStore {
  readonly #tables = new Map<string, Table>();
  #closed = false;

  get(table: string, key: Key): Uint8Array | undefined {
    this.#mustBeOpen();
    const value = this.#tables.get(table)?.get(keyText(key));
    return value === undefined ? undefined : new Uint8Array(value);
  }

  range(table: string, options: RangeOptions = {}): Iterable<Entry> {
    this.#mustBeOpen();
    return { [Symbol.iterator]: () => this.#entries(table, options) };
  }

  *#entries(table: string, options: RangeOptions): Generator<Entry> {
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    if (left <= 0) return;
    const gte = options.gte === undefined ? "" : text(options.gte);
    const lt = options.lt === undefined ? undefined : text(options.lt);
    const entries = this.#tables.get(table);
    if (entries === undefined) return;
    for (const [key, value] of options.reverse ? entries.descending(gte, lt) : entries.ascending(gte, lt)) {
      yield { key: Buffer.from(key, "latin1"), value: new Uint8Array(value) };
      left -= 1;
      if (left <= 0) return;
    }
  }

  count(table: string): number {
    this.#mustBeOpen();
    return this.#tables.get(table)?.size ?? 0;
  }

  async transact<T>(write: (tx: OrderedWriter) => T): Promise<T> {
    this.#mustBeOpen();
    const tx = new Transaction(this, (name) => this.#table(name));
    try {
      return write(tx);
    } catch (error) {
      tx.undo();
      throw error;
    }
  }

  async drop(table: string): Promise<void> {
    this.#mustBeOpen();
    this.#tables.delete(table);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #table(name: string): Table {
    const table = this.#tables.get(name) ?? new SortedMap();
    this.#tables.set(name, table);
    return table;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw storeError("STORE-CLOSED", "the store is closed");
  }
}

class Transaction implements OrderedWriter {
  readonly #reader: OrderedReader;
  readonly #table: (name: string) => Table;
  readonly #undo: (() => void)[] = [];

  constructor(reader: OrderedReader, table: (name: string) => Table) {
    this.#reader = reader;
    this.#table = table;
  }

  get(table: string, key: Key): Uint8Array | undefined {
    return this.#reader.get(table, key);
  }

  range(table: string, options?: RangeOptions): Iterable<Entry> {
    return this.#reader.range(table, options);
  }

  count(table: string): number {
    return this.#reader.count(table);
  }

  put(table: string, key: Key, value: Uint8Array): void {
    const entries = this.#table(table);
    const name = keyText(key);
    const before = entries.get(name);
    entries.set(name, new Uint8Array(value));
    this.#undo.push(before === undefined ? () => entries.delete(name) : () => entries.set(name, before));
  }

  delete(table: string, key: Key): void {
    const entries = this.#table(table);
    const name = keyText(key);
    const before = entries.delete(name);
    if (before !== undefined) this.#undo.push(() => entries.set(name, before));
  }

  deleteRange(table: string, options: Pick<RangeOptions, "gte" | "lt"> = {}): void {
    for (const { key } of [...this.#reader.range(table, options)]) this.delete(table, key);
  }

  undo(): void {
    for (const revert of this.#undo.reverse()) revert();
  }
}

function keyText(key: Key): string {
  if (key.length === 0 || key.length > KEY_BYTES_MAX) {
    throw storeError("STORE-KEY", `a key of ${key.length} bytes; allowed are 1 to ${KEY_BYTES_MAX}`);
  }
  return text(key);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
