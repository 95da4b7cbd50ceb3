/** How much of what was handed over is not durable yet, over all connections: who sends is held back while it is too much. */

export class Unsettled {
  readonly #max: { readonly count: number; readonly bytes: number };
  #changed: (isFull: boolean) => void = () => undefined;
  #count = 0;
  #bytes = 0;
  #isFull = false;

  constructor(max: { readonly count: number; readonly bytes: number }) {
    this.#max = max;
  }

  /** `changed` is called when it becomes full, or is, and again when half of it is durable; whoever was called before is not any more. */
  tell(changed: (isFull: boolean) => void): void {
    this.#changed = changed;
    if (this.#isFull) changed(true);
  }

  /** Counts a message; returns what is to be called once it is durable. */
  add(bytes: number): () => void {
    this.#count++;
    this.#bytes += bytes;
    if (!this.#isFull && (this.#count >= this.#max.count || this.#bytes >= this.#max.bytes)) this.#become(true);
    return () => {
      this.#count--;
      this.#bytes -= bytes;
      const { count, bytes: most } = this.#max;
      if (this.#isFull && this.#count <= count / 2 && this.#bytes <= most / 2) this.#become(false);
    };
  }

  #become(isFull: boolean): void {
    this.#isFull = isFull;
    this.#changed(isFull);
  }
}

/** Messages that wait to be durable, and their bytes, at which a sender is held back. */
export const UNSETTLED_MAX = { count: 1000, bytes: 16 * 1024 * 1024 };
