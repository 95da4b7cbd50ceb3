/**
 * A file beside a store that says how its data file was when it was closed. While they agree nothing has written to the data since: no
 * crash of a writer, no copy that was cut off. The mark is neither synced nor trusted with more than how thoroughly to look.
 */
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MARK = "closed";

/** Called last when a store is closed. Where there is no room for the mark there is none. */
export function markClosed(dir: string): void {
  try {
    writeFileSync(join(dir, MARK), stateOf(dir));
  } catch {
    rmSync(join(dir, MARK), { force: true });
  }
}

/** Whether the data is as it was when it was closed. Takes the mark away: whoever asks is about to open the store. */
export function takeClosedMark(dir: string): boolean {
  try {
    return readFileSync(join(dir, MARK), "utf8") === stateOf(dir);
  } catch {
    return false;
  } finally {
    rmSync(join(dir, MARK), { force: true });
  }
}

function stateOf(dir: string): string {
  const { size, mtimeNs } = statSync(join(dir, "data.mdb"), { bigint: true });
  return `${size} bytes, written ${mtimeNs}\n`;
}
