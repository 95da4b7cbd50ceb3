import type { Numbers, Sorted } from "./sample.ts";

/** Merge sort from the bottom up: runs of 1, 2, 4 … are merged; n log n comparisons at most. */
export default function mergeSort({ values }: Numbers): Sorted {
  let from = [...values];
  let to = new Array<number>(from.length);
  let iterations = 0;
  for (let width = 1; width < from.length; width *= 2) {
    for (let low = 0; low < from.length; low += 2 * width) {
      const middle = Math.min(low + width, from.length);
      const high = Math.min(low + 2 * width, from.length);
      let left = low;
      let right = middle;
      for (let at = low; at < high; at++) {
        if (left < middle && right < high) iterations++;
        const takesLeft = left < middle && (right >= high || (from[left] as number) <= (from[right] as number));
        to[at] = from[takesLeft ? left++ : right++] as number;
      }
    }
    [from, to] = [to, from];
  }
  return { sorted: from, iterations };
}
