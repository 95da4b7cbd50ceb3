/** What a condition says of each message of a batch: 0 false, 1 true, 2 unsure, a byte each. */
import { UNSURE } from "./lift.ts";

export interface Mask {
  /** At least one per message; what follows them is unspecified. */
  readonly bytes: Uint8Array;
  /** The same memory, four messages a number: what combines masks does not care for the order of bytes. */
  readonly words: Int32Array;
}

const TRUE = 0x01010101;
const UNSURES = 0x02020202;

/** A mask kept by one operator from batch to batch: evaluation is synchronous, and nobody keeps a mask. */
export function reusedMask(): (n: number) => Mask {
  let mask = maskFor(0);
  return (n) => {
    if (mask.bytes.length < n) mask = maskFor(n);
    return mask;
  };
}

function maskFor(n: number): Mask {
  const words = new Int32Array(wordsFor(n));
  return { bytes: new Uint8Array(words.buffer), words };
}

/** Marks as unsure where a number was. */
export function mark(mask: Mask, unsure: Uint8Array | null, n: number): Mask {
  if (unsure !== null) for (let i = 0; i < n; i++) if (unsure[i] === 1) mask.bytes[i] = UNSURE;
  return mask;
}

/** How many words hold `n` messages. */
function wordsFor(n: number): number {
  return (n + 3) >> 2;
}

/** CEL's `&&`: a side that is false settles the result and absorbs the other's failure. */
export function conjunction({ words: a }: Mask, { words: b }: Mask, out: Mask, n: number): Mask {
  const { words } = out;
  const end = wordsFor(n);
  for (let w = 0; w < end; w++) {
    const x = a[w] as number;
    const y = b[w] as number;
    const both = x & y & TRUE;
    const neitherFalse = (x | (x >> 1)) & (y | (y >> 1)) & TRUE;
    words[w] = both | ((neitherFalse ^ both) << 1);
  }
  return out;
}

/** CEL's `||`: a side that is true settles the result and absorbs the other's failure. */
export function disjunction({ words: a }: Mask, { words: b }: Mask, out: Mask, n: number): Mask {
  const { words } = out;
  const end = wordsFor(n);
  for (let w = 0; w < end; w++) {
    const either = (a[w] as number) | (b[w] as number);
    words[w] = either & ~((either & TRUE) << 1);
  }
  return out;
}

/** `!` on a mask. */
export function inverted({ words: a }: Mask, out: Mask, n: number): Mask {
  const { words } = out;
  const end = wordsFor(n);
  for (let w = 0; w < end; w++) {
    const x = a[w] as number;
    words[w] = (~(x | (x >> 1)) & TRUE) | (x & UNSURES);
  }
  return out;
}
