/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) by slicing-by-16, after slicing-by-8 (Kounavis and Berry, Intel, 2005).
 * A native implementation with the same signature may take its place, see `EmbeddedLogOptions.crc32c`; results are the same.
 */

/** Continues `seed`, a checksum of what came before (0 at the start), over bytes `[from, to)` of `view`. The result is unsigned. */
export type Crc32c = (view: DataView, from: number, to: number, seed?: number) => number;

const POLYNOMIAL = 0x82f63b78;
const SLICES = 16;
const TABLES = Array.from({ length: SLICES }, () => new Int32Array(256));

for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  (TABLES[0] as Int32Array)[byte] = crc;
}
for (let slice = 1; slice < SLICES; slice++) {
  for (let byte = 0; byte < 256; byte++) {
    const before = (TABLES[slice - 1] as Int32Array)[byte] as number;
    (TABLES[slice] as Int32Array)[byte] = (before >>> 8) ^ ((TABLES[0] as Int32Array)[before & 255] as number);
  }
}
const [T0, T1, T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13, T14, T15] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

export const crc32c: Crc32c = (view, from, to, seed = 0) => {
  let crc = ~seed;
  let at = from;
  for (const whole = to - SLICES; at <= whole; at += SLICES) {
    const a = crc ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    crc = four(T15, T14, T13, T12, a) ^ four(T11, T10, T9, T8, b) ^ four(T7, T6, T5, T4, c) ^ four(T3, T2, T1, T0, d);
  }
  for (; at < to; at++) crc = (T0[(crc ^ view.getUint8(at)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
};

/** What the four bytes of a word, lowest first, contribute through their tables. */
function four(t0: Int32Array, t1: Int32Array, t2: Int32Array, t3: Int32Array, word: number): number {
  return (
    (t0[word & 255] as number) ^
    (t1[(word >>> 8) & 255] as number) ^
    (t2[(word >>> 16) & 255] as number) ^
    (t3[word >>> 24] as number)
  );
}

/** Continues `seed` over eight bytes: two unsigned 32-bit numbers, little endian. */
export function crc32cOfPair(first: number, second: number, seed: number): number {
  return ~(four(T7, T6, T5, T4, ~seed ^ first) ^ four(T3, T2, T1, T0, second)) >>> 0;
}
