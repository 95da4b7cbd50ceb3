/** Lets async generators wait for the next change of something that they read themselves. */
export class Changes {
  #waiting: (() => void)[] = [];

  /** Wakes everybody who waits. */
  happened(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  /** Resolves at the next change, or when `signal` aborts. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const resume = (): void => {
        signal.removeEventListener("abort", stop);
        resolve();
      };
      const stop = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== resume);
        resolve();
      };
      this.#waiting.push(resume);
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}
