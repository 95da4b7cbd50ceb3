/**
 * Measures variants against each other in one run: interleaved, so that a noisy machine hits all alike; by process CPU time,
 * which a busy neighbour inflates far less than wall time; medians of the repeats.
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Variant
 * @property {string} name
 * @property {number} n operations in one run
 * @property {(n: number) => unknown | Promise<unknown>} run does `n` operations and throws if it did not
 */

/**
 * @param {Variant[]} variants
 * @param {{ repeats?: number, by?: "cpu" | "wall" }} [options]
 * @returns {Promise<Map<string, { ns: number, min: number, max: number, wallNs: number, cpuNs: number }>>} nanoseconds per operation
 */
export async function measure(variants, { repeats = 5, by = "cpu" } = {}) {
  const cpu = new Map(variants.map((v) => [v.name, []]));
  const wall = new Map(variants.map((v) => [v.name, []]));
  for (const v of variants) await v.run(Math.max(1, Math.floor(v.n / 5)));
  for (let r = 0; r < repeats; r++) {
    for (const v of variants) {
      globalThis.gc?.();
      const before = process.cpuUsage();
      const started = process.hrtime.bigint();
      await v.run(v.n);
      const took = Number(process.hrtime.bigint() - started);
      const used = process.cpuUsage(before);
      cpu.get(v.name).push(((used.user + used.system) * 1000) / v.n);
      wall.get(v.name).push(took / v.n);
    }
  }
  const figures = new Map();
  for (const { name } of variants) {
    const of = (by === "cpu" ? cpu : wall).get(name);
    const [wallNs, cpuNs] = [median(wall.get(name)), median(cpu.get(name))];
    figures.set(name, { ns: median(of), min: Math.min(...of), max: Math.max(...of), wallNs, cpuNs });
  }
  return figures;
}

/**
 * The same one operation at a time, for what takes microseconds to milliseconds: the median of single operations shows what one
 * takes that nobody interrupted, however busy the machine is.
 *
 * @param {{ name: string, n: number, run: () => unknown | Promise<unknown> }[]} variants `n` operations of each in a round
 * @param {{ repeats?: number }} [options] rounds
 * @returns {Promise<Map<string, { ns: number, min: number, max: number }>>} wall nanoseconds of an operation
 */
export async function measureSingly(variants, { repeats = 21 } = {}) {
  const took = new Map(variants.map((v) => [v.name, []]));
  for (const v of variants) for (let i = 0; i < v.n; i++) await v.run();
  for (let r = 0; r < repeats; r++) {
    for (const v of variants) {
      const of = took.get(v.name);
      for (let i = 0; i < v.n; i++) {
        const started = process.hrtime.bigint();
        await v.run();
        of.push(Number(process.hrtime.bigint() - started));
      }
    }
  }
  return new Map([...took].map(([name, ns]) => [name, { ns: median(ns), min: Math.min(...ns), max: Math.max(...ns) }]));
}

/**
 * The same with a process for every run of every variant, so that none is slowed by the object shapes and garbage of another.
 *
 * @param {string} url module that exports `variants(): Variant[] | Promise<Variant[]>`
 * @param {string[]} names
 */
export async function measureApart(url, names, { repeats = 5 } = {}) {
  const runs = new Map(names.map((name) => [name, []]));
  for (let r = 0; r < repeats; r++) for (const name of names) runs.get(name).push(await runApart(url, name));
  const figures = new Map();
  for (const [name, of] of runs) {
    const cpu = of.map((f) => f.cpuNs);
    figures.set(name, {
      ns: median(cpu),
      min: Math.min(...cpu),
      max: Math.max(...cpu),
      wallNs: median(of.map((f) => f.wallNs)),
    });
  }
  return figures;
}

function runApart(url, name) {
  const child = fork(fileURLToPath(new URL("./run-variant.mjs", import.meta.url)), [url, name], {
    execArgv: ["--expose-gc"],
  });
  return new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`variant "${name}" ended with ${code} before it had a figure`)));
  });
}

const WARM_RUNS = 3;
const MEASURED_RUNS = 8;

/** One variant in this process: runs until compilers have settled, then several measured as one, so that a start counts little. */
export async function runOnce(variant) {
  globalThis.gc?.();
  for (let i = 0; i < WARM_RUNS; i++) await variant.run(variant.n);
  const before = process.cpuUsage();
  const started = process.hrtime.bigint();
  for (let i = 0; i < MEASURED_RUNS; i++) await variant.run(variant.n);
  const operations = variant.n * MEASURED_RUNS;
  const wallNs = Number(process.hrtime.bigint() - started) / operations;
  const used = process.cpuUsage(before);
  return { cpuNs: ((used.user + used.system) * 1000) / operations, wallNs };
}

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const mid = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[mid] : (sorted[mid - 1] + sorted[mid]) / 2;
}

/**
 * @param {string} title
 * @param {Awaited<ReturnType<typeof measure>>} figures
 * @param {string} baseline ratios are rates against this one
 */
export function table(title, figures, baseline) {
  const base = figures.get(baseline);
  const lines = [`${title}   node ${process.version}, CPU time per operation, medians; ratio of rates to: ${baseline}`];
  for (const [name, f] of figures) {
    const rate = Math.round(1e9 / f.ns).toLocaleString("en");
    lines.push(
      `  ${name.padEnd(46)} ${f.ns.toFixed(1).padStart(10)} ns ${rate.padStart(13)}/s  ×${(base.ns / f.ns).toPrecision(3).padEnd(7)} [${f.min.toFixed(1)} … ${f.max.toFixed(1)}]`,
    );
  }
  return lines.join("\n");
}

/** How many times the rate of `b` the variant `a` reaches. */
export function ratio(figures, a, b) {
  return Number((figures.get(b).ns / figures.get(a).ns).toFixed(3));
}
