/**
 * Up to which value of a growing column a table is settled: no row will come below it any more. The highest value is not that
 * bound. A transaction draws a number, another draws the next one and commits first; who reads up to the second has passed the
 * first, and never sees it.
 *
 * So the bound is the highest value that was seen at some time, once every transaction that might have drawn a number before
 * that time has ended; nobody is kept from writing meanwhile. `CREATE INDEX CONCURRENTLY` waits in the same way.
 */

/** What a database says of those who write to a table. */
export interface Writers<W> {
  /**
   * The highest value now, or `above` if there is none above it. `isDense`: every number between the two is there, so that none
   * can come there any more.
   */
  highest(above: number): Promise<{ readonly value: number; readonly isDense: boolean }>;
  /** Whoever may have drawn a number by now, and has not ended; `undefined`: nobody. */
  now(): Promise<W | undefined>;
  /** Those of `earlier` that have not ended by `now`; `undefined`: all have. */
  left(earlier: W, now: W | undefined): W | undefined;
}

export class SettledBound<W> {
  /** Nothing will come at or below it. */
  value: number;
  readonly #writers: Writers<W>;
  /** A value that was the highest once, and the transactions that may still come below it. */
  #candidate: { readonly value: number; readonly writers: W } | undefined;

  constructor(writers: Writers<W>, value: number) {
    this.#writers = writers;
    this.value = value;
  }

  /** Moves the bound as far as it is known to go. True: it stands at what was the highest value just now. */
  async advance(): Promise<boolean> {
    const { value, isDense } = await this.#writers.highest(this.value);
    if (isDense) {
      this.#candidate = undefined;
      this.value = value;
      return true;
    }
    // The writers are asked for after the highest value, by a statement of its own.
    const now = await this.#writers.now();
    const last = this.#candidate;
    if (last !== undefined) {
      const left = this.#writers.left(last.writers, now);
      this.#candidate = left === undefined ? undefined : { value: last.value, writers: left };
      if (left !== undefined) return false;
      this.value = Math.max(this.value, last.value);
    }
    if (now === undefined) this.value = Math.max(this.value, value);
    else if (value > this.value) this.#candidate = { value, writers: now };
    return this.value === value;
  }
}
