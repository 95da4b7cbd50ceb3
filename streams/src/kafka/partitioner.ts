/**
 * Which partition a key belongs to: murmur2 of its bytes, as Kafka's own Java client and most others place it.
 *
 * Source: org.apache.kafka.common.utils.Utils.murmur2 (Apache-2.0), after Austin Appleby's MurmurHash2.
 */

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

export function partitionOf(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
}

function murmur2(bytes: Buffer): number {
  const { length } = bytes;
  const whole = length & ~3;
  let h = SEED ^ length;
  for (let i = 0; i < whole; i += 4) {
    let k = Math.imul(bytes.readInt32LE(i), M);
    k = Math.imul(k ^ (k >>> R), M);
    h = Math.imul(h, M) ^ k;
  }
  for (let i = length - 1; i >= whole; i--) h ^= (bytes[i] as number) << (8 * (i - whole));
  if (length > whole) h = Math.imul(h, M);
  h = Math.imul(h ^ (h >>> 13), M);
  return h ^ (h >>> 15);
}
