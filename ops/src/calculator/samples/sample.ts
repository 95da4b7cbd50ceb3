/** What the built-in samples take, and what they give. */
export interface Numbers {
  readonly values: readonly number[];
}

export interface Sorted {
  readonly sorted: readonly number[];
  /** Comparisons of two values. */
  readonly iterations: number;
}
