/**
 * A map sorted by string keys, as a list of short sorted runs: a lookup is two binary searches, an insertion moves at most
 * one run's entries. Iteration survives changes by seeking again from the last key that it returned.
 */

const RUN_MAX = 512;

interface Run<V> {
  readonly keys: string[];
  readonly values: V[];
}

export class SortedMap<V> {
  #runs: Run<V>[] = [];
  #size = 0;
  /** Counts structural changes, so that iterations notice them. */
  #changes = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    const run = this.#runs[this.#runFor(key)];
    if (run === undefined) return undefined;
    const at = seek(run.keys, key);
    return run.keys[at] === key ? run.values[at] : undefined;
  }

  set(key: string, value: V): void {
    if (this.#runs.length === 0) this.#runs.push({ keys: [], values: [] });
    const index = this.#runFor(key);
    const run = this.#runs[index] as Run<V>;
    const at = seek(run.keys, key);
    if (run.keys[at] === key) {
      run.values[at] = value;
      return;
    }
    run.keys.splice(at, 0, key);
    run.values.splice(at, 0, value);
    this.#size += 1;
    this.#changes += 1;
    if (run.keys.length > RUN_MAX) this.#split(index);
  }

  /** Returns the value that was there. */
  delete(key: string): V | undefined {
    const index = this.#runFor(key);
    const run = this.#runs[index];
    if (run === undefined) return undefined;
    const at = seek(run.keys, key);
    if (run.keys[at] !== key) return undefined;
    run.keys.splice(at, 1);
    const [value] = run.values.splice(at, 1);
    this.#size -= 1;
    this.#changes += 1;
    if (run.keys.length === 0) this.#runs.splice(index, 1);
    return value;
  }

  /** Entries with `gte ≤ key < lt`, ascending. */
  *ascending(gte: string, lt: string | undefined): Generator<readonly [string, V]> {
    let seen = this.#changes;
    let [r, i] = this.#place(gte);
    for (;;) {
      const run = this.#runs[r];
      if (run === undefined) return;
      const key = run.keys[i];
      if (key === undefined) {
        r += 1;
        i = 0;
        continue;
      }
      if (lt !== undefined && key >= lt) return;
      yield [key, run.values[i] as V];
      i += 1;
      if (seen !== this.#changes) {
        seen = this.#changes;
        [r, i] = this.#place(`${key}\0`);
      }
    }
  }

  /** Entries with `gte ≤ key < lt`, descending. */
  *descending(gte: string, lt: string | undefined): Generator<readonly [string, V]> {
    let seen = this.#changes;
    let [r, i] = lt === undefined ? [this.#runs.length, 0] : this.#place(lt);
    for (;;) {
      i -= 1;
      while (i < 0) {
        r -= 1;
        const before = this.#runs[r];
        if (before === undefined) return;
        i = before.keys.length - 1;
      }
      const run = this.#runs[r] as Run<V>;
      const key = run.keys[i] as string;
      if (key < gte) return;
      yield [key, run.values[i] as V];
      if (seen !== this.#changes) {
        seen = this.#changes;
        [r, i] = this.#place(key);
      }
    }
  }

  /** Run and index of the first key not below `key`; the index may be the run's length. */
  #place(key: string): [number, number] {
    const r = this.#runFor(key);
    const run = this.#runs[r];
    return run === undefined ? [0, 0] : [r, seek(run.keys, key)];
  }

  /** Index of the last run that begins at or below `key`, or 0. */
  #runFor(key: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (((this.#runs[middle] as Run<V>).keys[0] as string) <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #split(index: number): void {
    const run = this.#runs[index] as Run<V>;
    const half = run.keys.length >>> 1;
    this.#runs.splice(index + 1, 0, { keys: run.keys.splice(half), values: run.values.splice(half) });
  }
}

/** Index of the first key not below `key`. */
function seek(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
