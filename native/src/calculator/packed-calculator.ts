/** What either kind does, in msgpack. */
export interface PackedCalculator {
  describe(): Uint8Array;
  /** `places`: of payloads that the rows name; absent: none by reference can be opened. */
  batch(rows: Uint8Array, at: number, places: Uint8Array | undefined): Uint8Array;
  /** Payloads that were opened since it was last asked. */
  takeOpens(): number;
  snapshot(): Uint8Array;
  restore(state: Uint8Array | undefined): void;
}
