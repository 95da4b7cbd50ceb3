import type { RowSpace } from "./rows.ts";

interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Rows in memory: a map that sorts itself when it is read in order. */
export class MemoryRows implements RowSpace {
  readonly #rows = new Map<string, StoredRow>();
  #sorted: readonly StoredRow[] | undefined;

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(name(key))?.value;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const own = new Uint8Array(key);
    this.#rows.set(name(own), { key: own, value: new Uint8Array(value) });
    this.#sorted = undefined;
  }

  delete(key: Uint8Array): void {
    this.#rows.delete(name(key));
    this.#sorted = undefined;
  }

  count(): number {
    return this.#rows.size;
  }

  *range(gte: Uint8Array, lt: Uint8Array, reverse: boolean): Generator<StoredRow> {
    const rows = this.#order();
    const low = seek(rows, gte);
    const high = seek(rows, lt);
    for (let i = 0; i < high - low; i++) yield rows[reverse ? high - 1 - i : low + i] as StoredRow;
  }

  #order(): readonly StoredRow[] {
    this.#sorted ??= [...this.#rows.values()].sort((a, b) => Buffer.compare(a.key, b.key));
    return this.#sorted;
  }
}

/** Index of the first row not below `key`. */
function seek(rows: readonly StoredRow[], key: Uint8Array): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare((rows[middle] as StoredRow).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function name(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
