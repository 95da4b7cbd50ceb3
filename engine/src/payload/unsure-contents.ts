/**
 * Contents that an append of unknown outcome names. Each restart of a node and each source that goes back adds some, and nothing but the
 * next start of the host can tell which of them the log names: so there may be any number, and what is remembered of them is a bit by the
 * beginning of the hash. What shares a beginning with one is taken for one as well; it stays until the next start, too.
 */

/** Of a hash: with 100,000 unsure contents 2.4 % of all others share a beginning with one. */
const BITS = 22;
const HEX_DIGITS = 6;

export class UnsureContents {
  /** Made with the first. */
  #bits: Uint8Array | undefined;

  add(sha256: string): void {
    this.#bits ??= new Uint8Array(2 ** (BITS - 3));
    const bit = beginningOf(sha256);
    this.#bits[bit >> 3] = (this.#bits[bit >> 3] as number) | (1 << (bit & 7));
  }

  has(sha256: string): boolean {
    if (this.#bits === undefined) return false;
    const bit = beginningOf(sha256);
    return ((this.#bits[bit >> 3] as number) & (1 << (bit & 7))) !== 0;
  }
}

function beginningOf(sha256: string): number {
  return Number.parseInt(sha256.slice(0, HEX_DIGITS), 16) >> (HEX_DIGITS * 4 - BITS);
}
