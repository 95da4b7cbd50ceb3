import type { Clock } from "../time/clock.ts";

const BUCKETS_PER_OCTAVE = 4;
const BUCKETS = 24 * BUCKETS_PER_OCTAVE;

/**
 * Percentiles of the last ten to twenty seconds, weighted by messages: two histograms with logarithmic buckets (19 % wide) from
 * 1 µs to 16 s, of which the older is thrown away every ten seconds.
 */
export class LatencyWindow {
  readonly #clock: Clock;
  readonly #windowMs: number;
  /** Made with the first figure: most of ten thousand nodes may never have one. */
  #current: Float64Array | undefined;
  #previous: Float64Array | undefined;
  #sinceMs: number;

  constructor(clock: Clock, windowMs = 10_000) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#sinceMs = clock.monotonic();
  }

  note(ms: number, weight: number): void {
    this.#rotate();
    const bucket = Math.floor(Math.log2(Math.max(1e-3, ms) * 1000) * BUCKETS_PER_OCTAVE);
    const i = Math.max(0, Math.min(BUCKETS - 1, bucket));
    this.#current ??= new Float64Array(BUCKETS);
    this.#current[i] = (this.#current[i] as number) + weight;
  }

  /** Upper bound of the bucket that holds quantile `q`, in ms; `null` when nothing was noted. */
  quantile(q: number): number | null {
    this.#rotate();
    let total = 0;
    for (let i = 0; i < BUCKETS; i++) total += this.#at(i);
    if (total === 0) return null;
    let seen = 0;
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.#at(i);
      if (seen >= total * q) return 2 ** ((i + 1) / BUCKETS_PER_OCTAVE) / 1000;
    }
    return null;
  }

  #at(i: number): number {
    return (this.#current?.[i] ?? 0) + (this.#previous?.[i] ?? 0);
  }

  #rotate(): void {
    const now = this.#clock.monotonic();
    if (now - this.#sinceMs < this.#windowMs) return;
    this.#previous = now - this.#sinceMs < 2 * this.#windowMs ? this.#current : undefined;
    this.#current = undefined;
    this.#sinceMs = now;
  }
}
