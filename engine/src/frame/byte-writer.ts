/**
 * Writes small things as bytes, one behind the other. Each function says where the next may be written; whoever writes has asked for room
 * first. A place that is passed on, and not kept in an object, is what compilers hold in a register.
 */

/** Up to here a loop over characters is faster than a call into native code. */
const SHORT = 24;
const HIGH_BIT = 0x80;
const INT32_MAX = 0x7fff_ffff;

/** The string was not written. */
export const NOWHERE = -1;

/** An integer in `[0, 2^53)`, seven bits a byte, lowest first: at most eight bytes. */
export function writeInteger(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let left = value;
  while (left > INT32_MAX) {
    bytes[at++] = (left % HIGH_BIT) | HIGH_BIT;
    left = Math.floor(left / HIGH_BIT);
  }
  while (left >= HIGH_BIT) {
    bytes[at++] = (left & 0x7f) | HIGH_BIT;
    left >>>= 7;
  }
  bytes[at] = left;
  return at + 1;
}

export function writeBytes(bytes: Buffer, at: number, from: Uint8Array): number {
  bytes.set(from, at);
  return at + from.length;
}

/** The string's characters, a byte each; {@link NOWHERE} where one is not ASCII. Needs room for three bytes each. */
export function writeAscii(bytes: Buffer, at: number, value: string): number {
  const end = at + value.length;
  // As long as its characters: each was one byte.
  if (value.length > SHORT) return bytes.write(value, at) === value.length ? end : NOWHERE;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code >= HIGH_BIT) return NOWHERE;
    bytes[at + i] = code;
  }
  return end;
}
