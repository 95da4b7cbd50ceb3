/**
 * Power cuts under an appending process: `node ops/test/faults/log-power-cut.mjs [cuts]`, as root. Only acknowledgements that arrived
 * before the cut was asked for count. The last line of stdout is a JSON object.
 */
import { pathToFileURL } from "node:url";
import { Acknowledged, audit, inRounds, Moments, startAppender } from "./log-audit.mjs";
import { Volume, whyNot } from "./power.mjs";

/** So that no volume is filled up. */
const CUTS_PER_VOLUME = 50;

/** @returns {Promise<{ cuts: number, acknowledged: number, events: number, lost: number, tailsCut: number }>} */
export async function cutPowerOfLog(cuts) {
  return { cuts, ...(await inRounds(cuts, CUTS_PER_VOLUME, cutPowerOfOneVolume)) };
}

async function cutPowerOfOneVolume(cuts) {
  const volume = new Volume();
  const acknowledged = new Acknowledged();
  const moments = new Moments();
  let events = 0;
  let tailsCut = 0;
  try {
    for (let run = 1; run <= cuts; run++) {
      const appender = startAppender(volume.path, run, acknowledged);
      const { child, exited } = appender;
      await moments.next(appender);
      volume.cutPower();
      // What arrives from here on was on its way while the power went, and is nobody's proof.
      child.stdout.removeAllListeners("data");
      child.kill("SIGKILL");
      await exited;
      volume.unmount();
      volume.mount();
      const found = await audit(volume.path, acknowledged);
      if (found.lost > 0) throw new Error(`cut ${run}: ${found.lost} acknowledged appends are lost`);
      events = found.events;
      if (found.cut) tailsCut++;
    }
  } finally {
    volume.remove();
  }
  return { acknowledged: acknowledged.count, events, lost: 0, tailsCut };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const reason = whyNot();
  if (reason !== undefined) process.stdout.write(`${JSON.stringify({ skipped: reason })}\n`);
  else process.stdout.write(`${JSON.stringify(await cutPowerOfLog(Number(process.argv[2] ?? 50)))}\n`);
}
