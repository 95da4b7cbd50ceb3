/**
 * Files beside a store. `closed` says how its data file was when it was closed: while they agree nothing has written to the data since, no
 * crash of a writer, no copy that was cut off. It is neither synced nor trusted with more than how thoroughly to look. `damaged` says that
 * damage was found while the store was open.
 */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const MARK = "closed";
const DAMAGED = "damaged";

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

/** The data must not be opened again. Where there is no room for the mark, the next look has to find the damage. */
export function markDamaged(dir: string, reason: string): void {
  try {
    writeFileSync(join(dir, DAMAGED), reason);
  } catch {
    // The store is broken for now all the same.
  }
}

export function isMarkedDamaged(dir: string): boolean {
  return existsSync(join(dir, DAMAGED));
}

function stateOf(dir: string): string {
  const { size, mtimeNs } = statSync(join(dir, "data.mdb"), { bigint: true });
  return `${size} bytes, written ${mtimeNs}\n`;
}
