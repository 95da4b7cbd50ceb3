import { payloadError } from "./payload-errors.ts";
import type { PayloadLease, PayloadToken } from "./payload-store.ts";

/**
 * A lease on bytes that were copied for it alone: nothing can take them away, so it is valid until it is released. For
 * stores that copy.
 */
export class CopiedLease implements PayloadLease {
  readonly token: PayloadToken;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  readonly #released: () => void;
  readonly #detach: (buffer: ArrayBuffer) => void;

  /** `bytes` must own their buffer. `released` is called once. `detach` makes the buffer's views empty. */
  constructor(token: PayloadToken, bytes: Uint8Array<ArrayBuffer>, released: () => void, detach = moveAway) {
    this.token = token;
    this.#bytes = bytes;
    this.#released = released;
    this.#detach = detach;
  }

  get bytes(): Uint8Array {
    if (this.#bytes !== undefined) return this.#bytes;
    throw payloadError("PAYLOAD-RELEASED", `the lease on payload ${this.token.id} was released`);
  }

  read<T>(use: (bytes: Uint8Array) => T): T {
    return use(this.bytes);
  }

  isValid(): boolean {
    return this.#bytes !== undefined;
  }

  release(): boolean {
    const bytes = this.#bytes;
    if (bytes === undefined) return false;
    this.#bytes = undefined;
    // Whoever still has a view must not read on.
    this.#detach(bytes.buffer);
    this.#released();
    return true;
  }
}

function moveAway(buffer: ArrayBuffer): void {
  structuredClone(buffer, { transfer: [buffer] });
}
