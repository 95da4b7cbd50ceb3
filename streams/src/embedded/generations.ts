/**
 * What was asked for lately, by key: a younger and an older map. What is found in the older one moves on into the younger, and at a turn
 * the older one goes as a whole and the younger takes its place. So what nobody asked for between two turns is let go of, and what is asked
 * for often costs one look into a map, as if nothing ever went. Who keeps something here says when it turns.
 */
export class Generations<K, V> {
  #young = new Map<K, V>();
  #old: ReadonlyMap<K, V> = new Map();

  /** Of the younger one. */
  get size(): number {
    return this.#young.size;
  }

  get(key: K): V | undefined {
    const value = this.#young.get(key);
    return value === undefined ? this.#moved(key) : value;
  }

  set(key: K, value: V): void {
    this.#young.set(key, value);
  }

  turn(): void {
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** Lets go of everything else, in both. */
  keep(isNeeded: (value: V) => boolean): void {
    const kept = new Map<K, V>();
    for (const generation of [this.#old, this.#young])
      for (const [key, value] of generation) if (isNeeded(value)) kept.set(key, value);
    this.#old = kept;
    this.#young = new Map();
  }

  #moved(key: K): V | undefined {
    const value = this.#old.get(key);
    if (value !== undefined) this.#young.set(key, value);
    return value;
  }
}
