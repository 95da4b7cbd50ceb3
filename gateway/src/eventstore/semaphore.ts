/** At most so many at once, in the order of arrival; those that come when it is full wait. */
export class Semaphore {
  readonly #permits: number;
  readonly #waiting: (() => void)[] = [];
  #held = 0;

  /** @param permits 1 or more */
  constructor(permits: number) {
    this.#permits = permits;
  }

  /** Runs `work` once a permit is free, and gives the permit on when it has settled. */
  async holding<T>(work: () => Promise<T>): Promise<T> {
    if (this.#held < this.#permits) this.#held += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#held -= 1;
      else next();
    }
  }
}
