/** Work of which only so much is done at once, because each piece takes its memory: the rest waits for a place, in the order of arrival. */
export class Places {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Does the work when there is a place. @throws the signal's reason when whoever waits for it has left before */
  async use<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#place(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #place(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(enter);
        reject(signal.reason);
      };
      this.#waiting.add(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** A place goes from hand to hand while somebody waits. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
