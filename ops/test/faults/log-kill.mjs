/**
 * kill -9 of an appending process at random moments: `node ops/test/faults/log-kill.mjs [kills]`. Nothing that was acknowledged
 * may be missing, moved or doubled. The last line of stdout is a JSON object.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Acknowledged, audit, inRounds, Moments, startAppender } from "./log-audit.mjs";

/** A log is read as a whole after each kill: with many kills of one, that would be most of the time. */
const KILLS_PER_LOG = 25;

/** @returns {Promise<{ kills: number, acknowledged: number, events: number, lost: number, tailsCut: number }>} */
export async function killLog(kills) {
  return { kills, ...(await inRounds(kills, KILLS_PER_LOG, killOneLog)) };
}

async function killOneLog(kills) {
  const directory = mkdtempSync(join(tmpdir(), "millrace-log-kill-"));
  const acknowledged = new Acknowledged();
  const moments = new Moments();
  let events = 0;
  let tailsCut = 0;
  for (let run = 1; run <= kills; run++) {
    const appender = startAppender(directory, run, acknowledged);
    const { child, exited } = appender;
    await moments.next(appender);
    child.kill("SIGKILL");
    const { signal, said } = await exited;
    if (signal !== "SIGKILL") throw new Error(`run ${run} ended by itself: ${said}`);
    // Sometimes the next incarnation meets what this one left without anyone in between.
    if (run % 4 === 0 && run < kills) continue;
    const found = await audit(directory, acknowledged);
    if (found.lost > 0) throw new Error(`run ${run}: ${found.lost} acknowledged appends are lost; see ${directory}`);
    events = found.events;
    if (found.cut) tailsCut++;
  }
  rmSync(directory, { recursive: true });
  return { acknowledged: acknowledged.count, events, lost: 0, tailsCut };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(`${JSON.stringify(await killLog(Number(process.argv[2] ?? 200)))}\n`);
}
