/** The newest ids of what was taken, so that what is sent twice is taken once. Part of a node's state: what is logged comes back. */

/** Default of how many are remembered. */
const RECENT_IDS_MAX = 10_000;

export class RecentIds {
  readonly #max: number;
  /** In the order in which they came. */
  readonly #ids = new Set<string>();
  /** Of the step in the making. */
  #fresh = new Set<string>();

  constructor(max: number = RECENT_IDS_MAX) {
    this.#max = max;
  }

  /** Ids that came in the step in the making, in order. */
  get fresh(): readonly string[] {
    return [...this.#fresh];
  }

  /** Whether this is the first time; without an id it always is. */
  isFirst(id: string | undefined): boolean {
    if (id === undefined) return true;
    if (this.#ids.has(id) || this.#fresh.has(id)) return false;
    this.#fresh.add(id);
    return true;
  }

  seal(): void {
    this.remember(this.fresh);
    this.#fresh = new Set();
  }

  discard(): void {
    this.#fresh = new Set();
  }

  remember(ids: Iterable<string>): void {
    for (const id of ids) this.#ids.add(id);
    for (const id of this.#ids) {
      if (this.#ids.size <= this.#max) break;
      this.#ids.delete(id);
    }
  }

  snapshot(): readonly string[] {
    return [...this.#ids];
  }

  restore(ids: Iterable<string>): void {
    this.#ids.clear();
    this.remember(ids);
  }
}
