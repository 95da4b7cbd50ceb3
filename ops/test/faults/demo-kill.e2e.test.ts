import { expect, it } from "vitest";
import { killDemo } from "./demo-kill.mjs";

/** The long form: `node ops/test/faults/demo-kill.mjs 200`. */
const KILLS = 5;

it(`loses nothing and repeats nothing when it is killed ${KILLS} times at random moments`, async () => {
  const { kills, runs, differences, rows, seed } = await killDemo({ kills: KILLS });
  console.log(
    `demo-kill: ${kills} kills in ${runs} runs of ${rows} rows, ${differences.length} differences, seed ${seed}`,
  );
  expect({ kills, rows, differences, seed }).toEqual({ kills: KILLS, rows: 198_419, differences: [], seed });
}, 300_000);
