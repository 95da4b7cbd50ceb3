/**
 * The leases of a store that nobody has released. A program that forgets one gives it up all the same, with the second collection of
 * garbage that finds nobody who has it: until the first it is kept here, so that a lease which is released soon, as nearly all are,
 * costs nothing for it; what outlives that is only watched.
 */
export class HeldLeases<Lease extends { release(): boolean }> {
  readonly #kept = new Set<Lease>();
  readonly #watched = new Set<WeakRef<Lease>>();
  readonly #references = new WeakMap<Lease, WeakRef<Lease>>();
  readonly #collections = new FinalizationRegistry<() => void>((then) => then());
  readonly #remains: (lease: Lease) => () => void;

  /** `remains`: a lease is only watched from now on; gives what is to be done once it is gone, which must not lead to it. */
  constructor(remains: (lease: Lease) => () => void) {
    this.#remains = remains;
    const own = new WeakRef(this);
    const collected = (): void => {
      const leases = own.deref();
      if (leases !== undefined) leases.#collected(collected);
    };
    this.#collections.register({}, collected);
  }

  get size(): number {
    return this.#kept.size + this.#watched.size;
  }

  add(lease: Lease): void {
    this.#kept.add(lease);
  }

  delete(lease: Lease): void {
    if (this.#kept.delete(lease)) return;
    const reference = this.#references.get(lease);
    if (reference !== undefined && this.#watched.delete(reference)) this.#collections.unregister(lease);
  }

  releaseAll(): void {
    for (const lease of [...this.#kept]) lease.release();
    for (const reference of [...this.#watched]) reference.deref()?.release();
  }

  /** Garbage was collected: an object that only this knew of is gone. So it hears of the next time too. */
  #collected(again: () => void): void {
    for (const lease of this.#kept) this.#watch(lease);
    this.#kept.clear();
    this.#collections.register({}, again);
  }

  #watch(lease: Lease): void {
    const reference = new WeakRef(lease);
    const then = this.#remains(lease);
    const gone = (): void => {
      if (this.#watched.delete(reference)) then();
    };
    this.#watched.add(reference);
    this.#references.set(lease, reference);
    this.#collections.register(lease, gone, lease);
  }
}
