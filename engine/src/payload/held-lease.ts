import type { PayloadLease, PayloadToken } from "./payload-store.ts";

/** A lease that ends a hold with itself. */
export class HeldLease implements PayloadLease {
  readonly #lease: PayloadLease;
  readonly #returned: () => void;
  #isHeld = true;

  constructor(lease: PayloadLease, returned: () => void) {
    this.#lease = lease;
    this.#returned = returned;
  }

  get token(): PayloadToken {
    return this.#lease.token;
  }

  get bytes(): Uint8Array {
    return this.#lease.bytes;
  }

  read<T>(use: (bytes: Uint8Array) => T): T {
    return this.#lease.read(use);
  }

  isValid(): boolean {
    return this.#lease.isValid();
  }

  release(): boolean {
    if (!this.#isHeld) return false;
    this.#isHeld = false;
    const wasValid = this.#lease.release();
    this.#returned();
    return wasValid;
  }
}
