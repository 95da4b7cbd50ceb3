/** What either kind does, in msgpack. */
export interface PackedCalculator {
  describe(): Uint8Array;
  batch(rows: Uint8Array, at: number): Uint8Array;
  snapshot(): Uint8Array;
  restore(state: Uint8Array | undefined): void;
}
