/** Arithmetic of the columnar form: one operator over typed arrays, chosen outside the loop. */
import type { Cells } from "./comparisons.ts";
import type { Arithmetic } from "./operators.ts";

export function compute(op: Arithmetic, a: Cells, b: Cells, out: Float64Array): Float64Array {
  const n = out.length;
  switch (op) {
    case "+":
      for (let i = 0; i < n; i++) out[i] = (a[i] as number) + (b[i] as number);
      return out;
    case "-":
      for (let i = 0; i < n; i++) out[i] = (a[i] as number) - (b[i] as number);
      return out;
    case "*":
      for (let i = 0; i < n; i++) out[i] = (a[i] as number) * (b[i] as number);
      return out;
    case "/":
      for (let i = 0; i < n; i++) out[i] = (a[i] as number) / (b[i] as number);
      return out;
    case "%":
      for (let i = 0; i < n; i++) out[i] = (a[i] as number) % (b[i] as number);
      return out;
  }
}

/**
 * Whole-number results of {@link compute} as CEL's 64-bit ints give them, in place. Within 2^53 doubles are exact (the quotient
 * of two such ints never rounds up to the next whole number); what leaves that range is unsure.
 */
export function asInts(values: Float64Array, unsure: Uint8Array | null, n: number): Uint8Array | null {
  let marks = unsure;
  for (let i = 0; i < n; i++) {
    const whole = Math.trunc(values[i] as number);
    values[i] = whole;
    if (Number.isSafeInteger(whole)) continue;
    if (marks === unsure) marks = unsure === null ? new Uint8Array(n) : unsure.slice(0, n);
    (marks as Uint8Array)[i] = 1;
  }
  return marks;
}

/** Cells that are unsure on either side. */
export function either(a: Uint8Array | null, b: Uint8Array | null, n: number): Uint8Array | null {
  if (a === null || b === null) return a ?? b;
  const out = new Uint8Array(n);
  for (let i = 0; i < n; i++) out[i] = (a[i] as number) | (b[i] as number);
  return out;
}

/** Numbers kept by one operator from batch to batch: evaluation is synchronous, and nobody keeps them. */
export function reusedNumbers(): (n: number) => Float64Array {
  let numbers = new Float64Array(0);
  return (n) => {
    if (numbers.length !== n)
      numbers = numbers.buffer.byteLength >= n * 8 ? new Float64Array(numbers.buffer, 0, n) : new Float64Array(n);
    return numbers;
  };
}
