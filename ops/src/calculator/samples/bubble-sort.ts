import type { Numbers, Sorted } from "./sample.ts";

/** Bubble sort: neighbours change places until a pass changes nothing; n² comparisons. */
export default function bubbleSort({ values }: Numbers): Sorted {
  const sorted = [...values];
  let iterations = 0;
  for (let end = sorted.length - 1, last = 0; end > 0; end = last, last = 0) {
    for (let i = 0; i < end; i++) {
      const [a, b] = [sorted[i] as number, sorted[i + 1] as number];
      iterations++;
      if (a <= b) continue;
      sorted[i] = b;
      sorted[i + 1] = a;
      last = i;
    }
  }
  return { sorted, iterations };
}
