/**
 * Cuts the power of the file system that the flights demo runs on: `node ops/test/faults/demo-power-cut.mjs [cuts = 50] [seed]`,
 * as root. The demo goes on after each cut from what the medium has; now and then the cut comes right after its end, when
 * everything that it said must be there. In the end the sink's file and the projection equal those of an uninterrupted run.
 *
 * Needs a build. The last line of stdout counts cuts, finished runs and differences; the exit code is 1 if there is any.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { differencesOf, finishDemo, resultOf, seeded, sliceDemo, startDemo } from "./demo-run.mjs";
import { Volume, whyNot } from "./power.mjs";

const CUTS_PER_RUN_MAX = 6;
/** Part of an uninterrupted run after which the power goes at the latest. */
const LIFE_MAX = 0.6;
const ROWS = 400_000;

/**
 * @param {{ cuts: number, seed?: number, rows?: number, progress?: (line: string) => void }} options
 * @returns {Promise<{ cuts: number, cutsAtEnd: number, runs: number, differences: string[], rows: number, seed: number }>}
 */
export async function cutPowerOfDemo({ cuts, seed = Date.now() % 1_000_000, rows = ROWS, progress = () => undefined }) {
  const root = mkdtempSync(join(tmpdir(), "millrace-cut-"));
  const random = seeded(seed);
  const volume = new Volume();
  try {
    const graph = await sliceDemo(root, rows);
    const started = performance.now();
    await finishDemo(graph, join(volume.path, "reference"));
    const runMs = performance.now() - started;
    const expected = await resultOf(join(volume.path, "reference"));
    rmSync(join(volume.path, "reference"), { recursive: true });
    const differences = [];
    let done = 0;
    let cutsAtEnd = 0;
    let runs = 0;
    while (done < cuts) {
      const data = join(volume.path, `run-${runs++}`);
      const wanted = Math.min(cuts - done, 1 + Math.floor(random() * CUTS_PER_RUN_MAX));
      for (let cut = 1; cut < wanted; cut++) {
        await cutAfter(volume, graph, data, random() * runMs * LIFE_MAX);
        done++;
      }
      await finishDemo(graph, data);
      cutNow(volume);
      done++;
      cutsAtEnd++;
      differences.push(...differencesOf(await resultOf(data), expected, `run ${runs}`));
      progress(`${done} cuts, ${runs} runs, ${differences.length} differences`);
      rmSync(data, { recursive: true, force: true });
      // A cut soon after would bring these files back, and the volume has no room for many runs.
      execFileSync("sync", ["-f", volume.path]);
    }
    return { cuts: done, cutsAtEnd, runs, differences, rows: expected.rows, seed };
  } finally {
    volume.remove();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Cuts the power while the demo runs, or after it has ended. */
async function cutAfter(volume, graph, data, delayMs) {
  const { child, exited } = startDemo(graph, data);
  let isCut = false;
  const timer = setTimeout(() => {
    isCut = true;
    volume.cutPower();
    child.kill("SIGKILL");
  }, delayMs);
  const { code, output } = await exited;
  clearTimeout(timer);
  if (!isCut) {
    if (code !== 0) throw new Error(`the demo ended with ${code}: ${output}`);
    volume.cutPower();
  }
  volume.unmount();
  volume.mount();
}

function cutNow(volume) {
  volume.cutPower();
  volume.unmount();
  volume.mount();
}

/** @param {Awaited<ReturnType<typeof cutPowerOfDemo>>} result */
export function cutLine({ cuts, cutsAtEnd, runs, rows, differences, seed }) {
  return `demo-power-cut: ${cuts} cuts (${cutsAtEnd} right after the end) in ${runs} runs of ${rows} rows, ${differences.length} differences, seed ${seed}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const reason = whyNot();
  if (reason !== undefined) console.log(`demo-power-cut: skipped, ${reason}`);
  else {
    const [cuts = "50", seed] = process.argv.slice(2);
    const progress = (line) => process.stderr.write(`${line}\n`);
    const options = { cuts: Number(cuts), progress, ...(seed === undefined ? {} : { seed: Number(seed) }) };
    const result = await cutPowerOfDemo(options);
    for (const difference of result.differences) process.stderr.write(`${difference}\n`);
    console.log(cutLine(result));
    process.exitCode = result.differences.length === 0 ? 0 : 1;
  }
}
