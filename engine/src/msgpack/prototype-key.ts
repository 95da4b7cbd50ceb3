/** Whether msgpack bytes may name a field `__proto__`, by a look that costs next to nothing where they do not. */

const NAME = Buffer.from("__proto__");

interface Needle {
  /** Rarer than any character of the name: most bytes have none. */
  readonly lead: number;
  readonly bytes: Uint8Array;
}

const needle = (lead: number): Needle => ({ lead, bytes: Buffer.from([lead, ...NAME]) });

/** A short text as it is written here, and by nearly all others: its length is in what says that it is a text. */
const SHORT = needle(0xa0 | NAME.length);
/** A text whose length stands apart, in one byte or more. */
const ANY = needle(NAME.length);

/** @param start where to begin */
export function mayHavePrototypeKey(bytes: Uint8Array, start: number, isForeign: boolean): boolean {
  return has(bytes, start, SHORT) || (isForeign && has(bytes, start, ANY));
}

function has(bytes: Uint8Array, start: number, { lead, bytes: wanted }: Needle): boolean {
  const at = bytes.indexOf(lead, start);
  return at >= 0 && Buffer.prototype.indexOf.call(bytes, wanted, at) >= 0;
}
