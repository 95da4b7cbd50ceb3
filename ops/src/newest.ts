/** The last of many, which memory has no room for, and how many there were. */
export class Newest<T> {
  readonly #limit: number;
  readonly #kept: T[] = [];
  #total = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get total(): number {
    return this.#total;
  }

  /** Oldest first. */
  get items(): readonly T[] {
    return this.#kept.slice(-this.#limit);
  }

  add(item: T): void {
    this.#total += 1;
    this.#kept.push(item);
    if (this.#kept.length >= 2 * this.#limit) this.#kept.splice(0, this.#kept.length - this.#limit);
  }
}
