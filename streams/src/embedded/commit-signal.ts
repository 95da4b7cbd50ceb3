/** Wakes whoever waits for the log's durable end to move. One shared promise per commit, made only when somebody waits. */
export class CommitSignal {
  #waiting: { readonly promise: Promise<void>; readonly wake: () => void } | undefined;

  fire(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.wake();
  }

  /** Resolves with the next {@link fire}. */
  next(): Promise<void> {
    if (this.#waiting === undefined) {
      let wake = (): void => undefined;
      const promise = new Promise<void>((resolve) => {
        wake = resolve;
      });
      this.#waiting = { promise, wake };
    }
    return this.#waiting.promise;
  }
}
