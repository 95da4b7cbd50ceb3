/**
 * Kills the flights demo with SIGKILL at random moments of `run --until-done`, starts it again on the same data directory, and
 * compares what it has in the end with an uninterrupted run: the sink's file byte by byte, the projection row by row. The log
 * must be what was signed of it.
 *
 *   node ops/test/faults/demo-kill.mjs [kills = 200] [seed]
 *
 * Needs a build. The last line of stdout counts kills, finished runs and differences; the exit code is 1 if there is any.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DEMO, differencesOf, finishDemo, resultOf, seeded, startDemo } from "./demo-run.mjs";

/** Kills of one run: late ones meet state that earlier ones left behind. */
const KILLS_PER_RUN_MAX = 10;
/** Part of an uninterrupted run that a process may live: what one leaves undone the next one gets to. */
const LIFE_MAX = 0.4;

/**
 * `graph`: a graph file with the sinks of the demo. Default: the demo.
 *
 * @param {{ kills: number, seed?: number, graph?: string, progress?: (line: string) => void }} options
 * @returns {Promise<{ kills: number, runs: number, differences: string[], rows: number, seed: number }>}
 */
export async function killDemo({ kills, seed = Date.now() % 1_000_000, graph = DEMO, progress = () => undefined }) {
  const root = mkdtempSync(join(tmpdir(), "millrace-kill-"));
  const random = seeded(seed);
  try {
    const started = performance.now();
    await finishDemo(graph, join(root, "reference"));
    const runMs = performance.now() - started;
    const expected = await resultOf(join(root, "reference"));
    const differences = [];
    let done = 0;
    let runs = 0;
    while (done < kills) {
      const data = join(root, `run-${runs++}`);
      const wanted = Math.min(kills - done, 1 + Math.floor(random() * KILLS_PER_RUN_MAX));
      for (let killed = 0; killed < wanted; ) {
        if (!(await killAfter(graph, data, random() * runMs * LIFE_MAX))) break;
        killed++;
        done++;
      }
      await finishDemo(graph, data);
      differences.push(...differencesOf(await resultOf(data), expected, `run ${runs}`));
      progress(`${done} kills, ${runs} runs, ${differences.length} differences`);
      rmSync(data, { recursive: true, force: true });
    }
    return { kills: done, runs, differences, rows: expected.rows, seed };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** True if the process was killed, false if it had ended before. */
async function killAfter(graph, data, delayMs) {
  const { child, exited } = startDemo(graph, data);
  const timer = setTimeout(() => child.kill("SIGKILL"), delayMs);
  const { code, signal, output } = await exited;
  clearTimeout(timer);
  if (signal === "SIGKILL") return true;
  if (code !== 0) throw new Error(`the demo ended with ${code}: ${output}`);
  return false;
}

/** @param {Awaited<ReturnType<typeof killDemo>>} result */
export function killLine({ kills, runs, rows, differences, seed }) {
  return `demo-kill: ${kills} kills in ${runs} runs of ${rows} rows, ${differences.length} differences, seed ${seed}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kills = "200", seed] = process.argv.slice(2);
  const progress = (line) => process.stderr.write(`${line}\n`);
  const options = { kills: Number(kills), progress, ...(seed === undefined ? {} : { seed: Number(seed) }) };
  const result = await killDemo(options);
  for (const difference of result.differences) process.stderr.write(`${difference}\n`);
  console.log(killLine(result));
  process.exitCode = result.differences.length === 0 ? 0 : 1;
}
