/** Whether an LMDB environment can be opened, as far as can be seen in a short time. */
import { examine, type Verdict } from "./examination.ts";

const PROBE_MS_MAX = 60_000;
/** By the clock: a disk may be slow. */
const WALK_MS_MAX = 1000;
/** Entries that are read at either end: every read passes the pages that lead to them. */
const GLANCE_ENTRIES = 1024;

const PROBE = `
const cpuMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
try {
  const root = open();
  const { entryCount } = root.getStats();
  const until = [cpuMs() + given.cpuMsMax, Date.now() + given.walkMsMax];
  const walk = (range) => {
    let seen = 0;
    for (const { value } of root.getRange(range)) {
      if (value === undefined) throw new Error("a key without a value");
      seen++;
      if (range.limit === undefined && (seen & 255) === 0 && (cpuMs() > until[0] || Date.now() > until[1])) return undefined;
    }
    return seen;
  };
  // LMDB takes some damaged pages for the end of the keys.
  const ends = Math.min(given.glance, entryCount);
  const [low, high] = [Buffer.from([0]), Buffer.from([255])];
  if (walk({ start: low, limit: ends }) + walk({ start: high, reverse: true, limit: ends }) < 2 * ends) throw missing();
  const seen = given.cpuMsMax > 0 ? walk({ start: low }) : entryCount;
  if (seen < entryCount) throw missing();
  end(seen !== undefined);
} catch (error) {
  refuse(error);
}`;

/**
 * Reads the environment at `options.path`: both ends, and then from the first entry on.
 *
 * @param cpuMsMax of the process that reads, so that a large store opens soon. 0: only the ends
 */
export function probe(options: { readonly path: string }, cpuMsMax: number): Promise<Verdict> {
  const bounds = { cpuMsMax, walkMsMax: WALK_MS_MAX, glance: GLANCE_ENTRIES };
  return examine(PROBE, { options, ...bounds }, PROBE_MS_MAX).verdict;
}
