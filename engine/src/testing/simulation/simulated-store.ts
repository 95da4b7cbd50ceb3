/** A store that holds snapshots for simulations: it outlives hosts, forgets nothing, and may be wiped like any cache. */
import type { Entry, Key, OrderedStore, OrderedWriter } from "../../store/ordered-store.ts";

export class SimulatedStore implements OrderedStore {
  readonly #tables = new Map<string, Map<string, Entry>>();

  get(table: string, key: Key): Uint8Array | undefined {
    return this.#table(table).get(nameOf(key))?.value;
  }

  range(table: string): Iterable<Entry> {
    return [...this.#table(table).values()].sort((a, b) => Buffer.compare(a.key, b.key));
  }

  count(table: string): number {
    return this.#table(table).size;
  }

  async transact<T>(write: (tx: OrderedWriter) => T): Promise<T> {
    return write({
      get: (table, key) => this.get(table, key),
      range: (table) => this.range(table),
      count: (table) => this.count(table),
      put: (table, key, value) => void this.#table(table).set(nameOf(key), { key, value }),
      delete: (table, key) => void this.#table(table).delete(nameOf(key)),
      deleteRange: (table) => this.#table(table).clear(),
    });
  }

  async drop(table: string): Promise<void> {
    this.#tables.delete(table);
  }

  async close(): Promise<void> {}

  #table(name: string): Map<string, Entry> {
    const table = this.#tables.get(name) ?? new Map<string, Entry>();
    this.#tables.set(name, table);
    return table;
  }
}

function nameOf(key: Key): string {
  return Buffer.from(key).toString("hex");
}
