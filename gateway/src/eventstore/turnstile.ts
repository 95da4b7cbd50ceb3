/**
 * One at a time per key, in the order of arrival: what looks before it appends must not be overtaken between the two. Only
 * entering is serial; what was entered runs on beside the next.
 */
export class Turnstile {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Calls `enter` when all earlier calls with this key have settled. */
  async pass<T>(key: string, enter: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const entered = before === undefined ? enter() : before.then(enter, enter);
    this.#last.set(key, entered);
    try {
      return await entered;
    } finally {
      if (this.#last.get(key) === entered) this.#last.delete(key);
    }
  }
}
