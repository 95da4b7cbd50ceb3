/** The smallest {@link OrderedStore}: a sorted list per table, for tests of what is written against the port. */
import type { Entry, Key, OrderedStore, OrderedWriter, RangeOptions } from "../store/ordered-store.ts";
import { storeError } from "../store/store-errors.ts";

export class SortedMapStore implements OrderedStore {
  readonly #tables = new Map<string, Entry[]>();
  #isClosed = false;

  get(table: string, key: Key): Uint8Array | undefined {
    return this.#entries(table)
      .find((entry) => Buffer.compare(entry.key, key) === 0)
      ?.value.slice();
  }

  range(table: string, { gte, lt, reverse, limit }: RangeOptions = {}): Iterable<Entry> {
    const found = this.#entries(table).filter(
      ({ key }) =>
        (gte === undefined || Buffer.compare(key, gte) >= 0) && (lt === undefined || Buffer.compare(key, lt) < 0),
    );
    return (reverse === true ? found.reverse() : found).slice(0, limit);
  }

  count(table: string): number {
    return this.#entries(table).length;
  }

  async transact<T>(write: (tx: OrderedWriter) => T): Promise<T> {
    const before = new Map([...this.#tables].map(([name, entries]) => [name, [...entries]]));
    try {
      return write({
        get: (table, key) => this.get(table, key),
        range: (table, options) => this.range(table, options),
        count: (table) => this.count(table),
        put: (table, key, value) => this.#put(table, key, value),
        delete: (table, key) => this.#keep(table, (entry) => Buffer.compare(entry.key, key) !== 0),
        deleteRange: (table, options) => {
          const gone = new Set(this.range(table, options));
          this.#keep(table, (entry) => !gone.has(entry));
        },
      });
    } catch (error) {
      this.#tables.clear();
      for (const [name, entries] of before) this.#tables.set(name, entries);
      throw error;
    }
  }

  async drop(table: string): Promise<void> {
    this.#tables.delete(table);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #entries(table: string): Entry[] {
    if (this.#isClosed) throw storeError("STORE-CLOSED", "the store is closed");
    return this.#tables.get(table) ?? [];
  }

  #put(table: string, key: Key, value: Uint8Array): void {
    this.#keep(table, (entry) => Buffer.compare(entry.key, key) !== 0);
    const entries = [...this.#entries(table), { key: key.slice(), value: value.slice() }];
    this.#tables.set(
      table,
      entries.sort((a, b) => Buffer.compare(a.key, b.key)),
    );
  }

  #keep(table: string, keep: (entry: Entry) => boolean): void {
    this.#tables.set(table, this.#entries(table).filter(keep));
  }
}
