/**
 * How deep the values in msgpack bytes are nested, found without recursion. What is written must be readable wherever it is read, and
 * how deep a reader gets before its stack ends depends on what called it and on how far its code is compiled.
 */

/** Far below what any reader manages, far above what messages have. */
const DEPTH_MAX = 500;

/** Bytes that follow a type of a fixed size, from 0xc0 on; what has a length of its own, or holds values, is told below. */
const FIXED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17];
const BIN_8 = 0xc4;
const EXT_8 = 0xc7;
const STR_8 = 0xd9;
const ARRAY_16 = 0xdc;
const MAP_16 = 0xde;

/** Values that are still to come in each container that is open, the outermost first. */
const left = new Float64Array(DEPTH_MAX + 1);

/** @param bytes one value of msgpack from `start` on, as a packer wrote it */
export function isTooDeep(bytes: Uint8Array, start = 0): boolean {
  // A container takes a byte at least.
  if (bytes.length - start <= DEPTH_MAX) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const type = bytes[at++] as number;
    let values = 0;
    if (type >= 0x80 && type < 0x90) values = 2 * (type & 0x0f);
    else if (type >= 0x90 && type < 0xa0) values = type & 0x0f;
    else if (type >= 0xa0 && type < 0xc0) at += type & 0x1f;
    else if (type >= ARRAY_16 && type < 0xe0) {
      const isWide = (type & 1) === 1;
      values = (isWide ? view.getUint32(at) : view.getUint16(at)) * (type >= MAP_16 ? 2 : 1);
      at += isWide ? 4 : 2;
    } else if (type >= BIN_8 && type < BIN_8 + 3) at += lengthAt(view, at, type - BIN_8);
    else if (type >= EXT_8 && type < EXT_8 + 3) at += 1 + lengthAt(view, at, type - EXT_8);
    else if (type >= STR_8 && type < STR_8 + 3) at += lengthAt(view, at, type - STR_8);
    else if (type >= 0xc0 && type < STR_8) at += FIXED[type - 0xc0] as number;
    if (values > 0) {
      if (++depth > DEPTH_MAX) return true;
      left[depth] = values;
      continue;
    }
    while (depth > 0) {
      const more = (left[depth] as number) - 1;
      left[depth] = more;
      if (more > 0) break;
      depth--;
    }
  }
  return false;
}

/** Of a text, of bytes or of an extension: the length and what it says, in bytes. `size`: of the length, 0 for one byte, 1 for two, 2 for four. */
function lengthAt(view: DataView, at: number, size: number): number {
  if (size === 0) return 1 + view.getUint8(at);
  return size === 1 ? 2 + view.getUint16(at) : 4 + view.getUint32(at);
}
