/**
 * The loops of the columnar form: one operator over typed arrays each, with the operator chosen outside the loop. Masks hold
 * 0 false, 1 true, 2 unsure.
 */
import { UNSURE } from "./lift.ts";
import type { Arithmetic, Ordering } from "./operators.ts";

export type Cells = Float64Array | Int32Array;
export type Comparison = Ordering | "==" | "!=";

/** Nothing branches on the operator per cell: the six loops are written out for that reason. Writes `out.length` cells. */
export function compareTo(op: Comparison, a: Cells, b: number, out: Uint8Array): Uint8Array {
  const n = out.length;
  switch (op) {
    case "<":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) < b);
      return out;
    case "<=":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) <= b);
      return out;
    case ">":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) > b);
      return out;
    case ">=":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) >= b);
      return out;
    case "==":
      for (let i = 0; i < n; i++) out[i] = Number(a[i] === b);
      return out;
    case "!=":
      for (let i = 0; i < n; i++) out[i] = Number(a[i] !== b);
      return out;
  }
}

export function compare(op: Comparison, a: Cells, b: Cells, out: Uint8Array): Uint8Array {
  const n = out.length;
  switch (op) {
    case "<":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) < (b[i] as number));
      return out;
    case "<=":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) <= (b[i] as number));
      return out;
    case ">":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) > (b[i] as number));
      return out;
    case ">=":
      for (let i = 0; i < n; i++) out[i] = Number((a[i] as number) >= (b[i] as number));
      return out;
    case "==":
      for (let i = 0; i < n; i++) out[i] = Number(a[i] === b[i]);
      return out;
    case "!=":
      for (let i = 0; i < n; i++) out[i] = Number(a[i] !== b[i]);
      return out;
  }
}

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

/** Marks a mask, in place, as unsure where a number was. */
export function mark(mask: Uint8Array, unsure: Uint8Array | null): Uint8Array {
  if (unsure !== null) for (let i = 0; i < mask.length; i++) if (unsure[i] === 1) mask[i] = UNSURE;
  return mask;
}

/** Results by `3 * left + right`: looked up, because which messages pass is what a processor cannot predict. */
const AND = Uint8Array.of(0, 0, 0, 0, 1, UNSURE, 0, UNSURE, UNSURE);
const OR = Uint8Array.of(0, 1, UNSURE, 1, 1, 1, UNSURE, 1, UNSURE);
const NOT = Uint8Array.of(1, 0, UNSURE);

/** CEL's `&&` (`decisive` 0) and `||` (`decisive` 1): a side that settles the result absorbs the other's failure. */
export function logic(decisive: 0 | 1, a: Uint8Array, b: Uint8Array, out: Uint8Array): Uint8Array {
  const results = decisive === 0 ? AND : OR;
  for (let i = 0; i < out.length; i++) out[i] = results[3 * (a[i] as number) + (b[i] as number)] as number;
  return out;
}

/** `!` on a mask. */
export function inverted(a: Uint8Array, out: Uint8Array): Uint8Array {
  for (let i = 0; i < out.length; i++) out[i] = NOT[a[i] as number] as number;
  return out;
}

/** A mask kept by one operator from batch to batch: evaluation is synchronous, and nobody keeps a mask. */
export function reusedMask(): (n: number) => Uint8Array {
  let mask = new Uint8Array(0);
  return (n) => {
    if (mask.length !== n) mask = mask.buffer.byteLength >= n ? new Uint8Array(mask.buffer, 0, n) : new Uint8Array(n);
    return mask;
  };
}

/** The same for numbers. */
export function reusedNumbers(): (n: number) => Float64Array {
  let numbers = new Float64Array(0);
  return (n) => {
    if (numbers.length !== n)
      numbers = numbers.buffer.byteLength >= n * 8 ? new Float64Array(numbers.buffer, 0, n) : new Float64Array(n);
    return numbers;
  };
}
