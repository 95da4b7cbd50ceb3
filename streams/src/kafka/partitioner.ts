/**
 * Which partition a key belongs to: murmur2 of its bytes, as Kafka's own Java client and most others place it.
 *
 * Source: org.apache.kafka.common.utils.Utils.murmur2 (Apache-2.0), after Austin Appleby's MurmurHash2.
 */

import type { PartitionKernel } from "@millrace/engine";

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;
const ASCII_END = 0x80;

/** What it takes to hand keys over, in characters that are hashed meanwhile: of a call, and of each key (`npm run bench -- kernels`). */
const CALL_CHARS = 512;
const KEY_CHARS = 12;

/** What kernels write to. To make one a call costs as much as to hash a thousand characters. */
let placed = new Int32Array(0);

/** Of each key. The kernel has those that it is faster with; `undefined`: there is none. */
export function partitionsOf(
  keys: readonly string[],
  partitions: number,
  kernel: PartitionKernel | undefined,
): number[] {
  const found = new Array<number>(keys.length);
  if (kernel !== undefined && areWorthACall(keys)) {
    if (placed.length < keys.length) placed = new Int32Array(keys.length);
    kernel.place(keys, partitions, placed);
    for (let i = 0; i < keys.length; i++) found[i] = placed[i] as number;
  } else for (let i = 0; i < keys.length; i++) found[i] = partitionOf(keys[i] as string, partitions);
  return found;
}

function areWorthACall(keys: readonly string[]): boolean {
  let left = CALL_CHARS + keys.length * KEY_CHARS;
  for (let i = 0; i < keys.length && left > 0; i++) left -= (keys[i] as string).length;
  return left <= 0;
}

export function partitionOf(key: string, partitions: number): number {
  return ((hashOfAscii(key) ?? murmur2(Buffer.from(key))) & 0x7fffffff) % partitions;
}

/** Without making the bytes, which costs more than to hash them. `undefined`: the key has other characters, too. */
function hashOfAscii(key: string): number | undefined {
  const { length } = key;
  const whole = length & ~3;
  let h = SEED ^ length;
  let i = 0;
  for (; i < whole; i += 4) {
    const [a, b, c, d] = [key.charCodeAt(i), key.charCodeAt(i + 1), key.charCodeAt(i + 2), key.charCodeAt(i + 3)];
    if ((a | b | c | d) >= ASCII_END) return undefined;
    h = withWord(h, a | (b << 8) | (c << 16) | (d << 24));
  }
  for (; i < length; i++) {
    const code = key.charCodeAt(i);
    if (code >= ASCII_END) return undefined;
    h ^= code << (8 * (i - whole));
  }
  return finished(h, length > whole);
}

function murmur2(bytes: Buffer): number {
  const { length } = bytes;
  const whole = length & ~3;
  let h = SEED ^ length;
  for (let i = 0; i < whole; i += 4) h = withWord(h, bytes.readInt32LE(i));
  for (let i = length - 1; i >= whole; i--) h ^= (bytes[i] as number) << (8 * (i - whole));
  return finished(h, length > whole);
}

function withWord(h: number, word: number): number {
  const k = Math.imul(word, M);
  return Math.imul(h, M) ^ Math.imul(k ^ (k >>> R), M);
}

function finished(hash: number, hasRest: boolean): number {
  const rested = hasRest ? Math.imul(hash, M) : hash;
  const h = Math.imul(rested ^ (rested >>> 13), M);
  return h ^ (h >>> 15);
}
