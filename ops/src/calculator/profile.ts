/**
 * How a calculator's cost grows with its input: for each size a fresh process, one message of that many values (or that many
 * recorded messages), several runs after one to warm up.
 */
import type { LooseCalculator } from "@millrace/actors";
import { isJsonObject, type Json } from "@millrace/engine";

export interface Measurement {
  readonly calculator: string;
  readonly size: number;
  /** Median of the runs, in ms. */
  readonly timeMs: number | null;
  /** Processor time of the process per run, in ms; the kernel counts in 10 ms. */
  readonly cpuMs: number | null;
  /** Most memory that the process ever had, interpreter included, in MiB. */
  readonly memoryMib: number | null;
  /** What the last result says of itself in `iterations`. */
  readonly iterations: number | null;
  readonly runs: number;
  /** Why there are no figures: the code of the failure. */
  readonly error: string | null;
}

export interface ProfileInput {
  readonly sizes: readonly number[];
  readonly runs: number;
  /** The messages of a size. */
  readonly rows: (size: number) => readonly Json[];
  readonly open: (name: string) => Promise<LooseCalculator>;
}

/** Seeded: every calculator sorts the same values. `{ n, values }` with whole numbers below 2^31. */
export function generated(seed: number): (size: number) => readonly Json[] {
  return (n) => {
    let state = seed >>> 0;
    // A linear congruential generator (Numerical Recipes) is random enough to be sorted.
    const next = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 1;
    };
    return [{ n, values: Array.from({ length: n }, next) }];
  };
}

export async function profile(name: string, { sizes, runs, rows, open }: ProfileInput): Promise<Measurement[]> {
  const measured: Measurement[] = [];
  for (const size of sizes) {
    const calculator = await open(name);
    try {
      measured.push({ calculator: name, size, ...(await measure(calculator, rows(size), runs)) });
    } finally {
      await calculator.close();
    }
  }
  return measured;
}

type Figures = Omit<Measurement, "calculator" | "size">;

async function measure(calculator: LooseCalculator, rows: readonly Json[], runs: number): Promise<Figures> {
  const times: number[] = [];
  let cpuBefore = 0;
  let last: Json | undefined;
  for (let run = 0; run <= runs; run++) {
    calculator.reset();
    const started = performance.now();
    const outcomes = await calculator.run(rows, { at: 0, graph: "", node: "profile" });
    if (run > 0) times.push(performance.now() - started);
    else cpuBefore = calculator.usage()?.cpuMs ?? 0;
    const failed = outcomes.find((outcome) => "error" in outcome);
    if (failed !== undefined && "error" in failed) return failure(failed.error.code, run);
    last = outcomes.flatMap((outcome) => ("out" in outcome ? outcome.out : [])).at(-1);
  }
  const usage = calculator.usage();
  return {
    timeMs: rounded(times.toSorted((a, b) => a - b)[times.length >>> 1] ?? 0),
    cpuMs: usage === undefined ? null : rounded((usage.cpuMs - cpuBefore) / runs),
    memoryMib: usage === undefined ? null : rounded(usage.residentBytesMax / 1024 / 1024),
    iterations: isJsonObject(last) && typeof last.iterations === "number" ? last.iterations : null,
    runs,
    error: null,
  };
}

function failure(error: string, runs: number): Figures {
  return { timeMs: null, cpuMs: null, memoryMib: null, iterations: null, runs, error };
}

const rounded = (n: number): number => Math.round(n * 1000) / 1000;

/** Powers of the size that figures grow with, by least squares of the logarithms; `null` where two points are missing. */
export interface Growth {
  readonly calculator: string;
  /** Of the runs that took a millisecond or more: below, it is the way to the process and back that counts. */
  readonly time: number | null;
  readonly iterations: number | null;
}

export function growthOf(calculator: string, all: readonly Measurement[]): Growth {
  const own = all.filter((measured) => measured.calculator === calculator);
  return {
    calculator,
    time: power(own.map(({ size, timeMs }) => [size, timeMs !== null && timeMs >= 1 ? timeMs : 0])),
    iterations: power(own.map(({ size, iterations }) => [size, iterations ?? 0])),
  };
}

function power(figures: readonly (readonly [size: number, figure: number])[]): number | null {
  const points = figures.filter(([, figure]) => figure > 0).map(([size, figure]) => [Math.log(size), Math.log(figure)]);
  const mean = (of: 0 | 1): number => points.reduce((sum, point) => sum + (point[of] as number), 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  let [covariance, variance] = [0, 0];
  for (const [px = 0, py = 0] of points) {
    covariance += (px - x) * (py - y);
    variance += (px - x) ** 2;
  }
  return variance > 0 ? rounded(covariance / variance) : null;
}
