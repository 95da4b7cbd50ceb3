/** Partitions of keys by the addon (native/crates/keys). */
import type { PartitionKernel } from "@millrace/engine";
import { loadAddon } from "../addon.ts";

/**
 * Keys go over as one text, put together by `+`: V8 copies each of them once then, when the text is read. A text of so many characters
 * stays in what is made and left quickly.
 */
const TEXT_CHARS = 16_384;
const TEXT_KEYS = 2048;

/** Where each key of a text ends. No JS runs between filling and reading it. */
const ends = new Uint32Array(TEXT_KEYS);

/** `undefined` without the addon. */
export function nativeKeys(): PartitionKernel | undefined {
  const addon = loadAddon();
  if (addon === undefined) return undefined;
  return {
    place(keys, partitions, into) {
      for (let from = 0; from < keys.length; ) {
        let text = "";
        let n = 0;
        while (from + n < keys.length && n < TEXT_KEYS && text.length < TEXT_CHARS) {
          text += keys[from + n];
          ends[n++] = text.length;
        }
        addon.placeKeys(text, ends, n, partitions, into, from);
        from += n;
      }
    },
  };
}
