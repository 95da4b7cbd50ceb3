/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) by slicing-by-8 (Kounavis and Berry, Intel, 2005). A native
 * implementation with the same signature may take its place, see `EmbeddedLogOptions.crc32c`; results are the same.
 */

/** Continues `seed`, a checksum of what came before (0 at the start), over `bytes[from, to)`. The result is unsigned. */
export type Crc32c = (bytes: Uint8Array, from: number, to: number, seed?: number) => number;

const POLYNOMIAL = 0x82f63b78;
const TABLES = Array.from({ length: 8 }, () => new Int32Array(256));

for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  (TABLES[0] as Int32Array)[byte] = crc;
}
for (let slice = 1; slice < 8; slice++) {
  for (let byte = 0; byte < 256; byte++) {
    const before = (TABLES[slice - 1] as Int32Array)[byte] as number;
    (TABLES[slice] as Int32Array)[byte] = (before >>> 8) ^ ((TABLES[0] as Int32Array)[before & 255] as number);
  }
}
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

export const crc32c: Crc32c = (bytes, from, to, seed = 0) => {
  let crc = ~seed;
  let at = from;
  for (const whole = to - 7; at < whole; at += 8) {
    const low =
      crc ^
      (byteAt(bytes, at) |
        (byteAt(bytes, at + 1) << 8) |
        (byteAt(bytes, at + 2) << 16) |
        (byteAt(bytes, at + 3) << 24));
    crc =
      (T7[low & 255] as number) ^
      (T6[(low >>> 8) & 255] as number) ^
      (T5[(low >>> 16) & 255] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[byteAt(bytes, at + 4)] as number) ^
      (T2[byteAt(bytes, at + 5)] as number) ^
      (T1[byteAt(bytes, at + 6)] as number) ^
      (T0[byteAt(bytes, at + 7)] as number);
  }
  for (; at < to; at++) crc = (T0[(crc ^ byteAt(bytes, at)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
};

/** Continues `seed` over eight bytes: two unsigned 32-bit numbers, little endian. */
export function crc32cOfPair(first: number, second: number, seed: number): number {
  const low = ~seed ^ first;
  return (
    ~(
      (T7[low & 255] as number) ^
      (T6[(low >>> 8) & 255] as number) ^
      (T5[(low >>> 16) & 255] as number) ^
      (T4[low >>> 24] as number) ^
      (T3[second & 255] as number) ^
      (T2[(second >>> 8) & 255] as number) ^
      (T1[(second >>> 16) & 255] as number) ^
      (T0[second >>> 24] as number)
    ) >>> 0
  );
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}
