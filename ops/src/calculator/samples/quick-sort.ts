import type { Numbers, Sorted } from "./sample.ts";

/** Quicksort (Hoare): parts around the middle value; n log n comparisons on random values. */
export default function quickSort({ values }: Numbers): Sorted {
  const sorted = [...values];
  const parts: [number, number][] = [[0, sorted.length - 1]];
  let iterations = 0;
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const [low, high] = part;
    if (low >= high) continue;
    const pivot = sorted[(low + high) >>> 1] as number;
    let [i, j] = [low, high];
    while (i <= j) {
      for (; (sorted[i] as number) < pivot; i++) iterations++;
      for (; (sorted[j] as number) > pivot; j--) iterations++;
      iterations += 2;
      if (i > j) break;
      [sorted[i], sorted[j]] = [sorted[j] as number, sorted[i] as number];
      i++;
      j--;
    }
    parts.push([low, j], [i, high]);
  }
  return { sorted, iterations };
}
