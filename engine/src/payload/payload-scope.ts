import type { PayloadReference } from "./payload-value.ts";

/** Holds that end together. */
export class PayloadScope {
  readonly #release: (reference: PayloadReference) => void;
  #held: PayloadReference[] = [];

  /** @param release ends one hold */
  constructor(release: (reference: PayloadReference) => void) {
    this.#release = release;
  }

  /** Takes over a hold that the caller has. */
  own(reference: PayloadReference): void {
    this.#held.push(reference);
  }

  end(): void {
    const held = this.#held;
    this.#held = [];
    for (const reference of held) this.#release(reference);
  }
}
