/** One writer per log directory: a lock that lives and dies with this process (L-R10). */
import { type Disk, type DiskFile, type Env, type LockKind, sleep } from "@millrace/engine";
import { embeddedLogError } from "./errors.ts";

const LOCK_NAME = "LOCK";
const RETRY_MS = 20;

export interface DirectoryLock {
  readonly kind: LockKind;
  release(): Promise<void>;
}

/** Waits up to `waitMs` for a process that is just dying. @throws LOG-LOCKED */
export async function lockDirectory(disk: Disk, directory: string, env: Env, waitMs: number): Promise<DirectoryLock> {
  const path = `${directory}/${LOCK_NAME}`;
  const known = await disk.stat(path);
  const file = await disk.open(path, { mode: known === undefined ? "create" : "write" });
  const kind = await lockFile(file, path, env, waitMs);
  return { kind, release: () => file.close() };
}

/** Takes the lock of an open file; closes it when another holds it. @throws LOG-LOCKED */
export async function lockFile(file: DiskFile, path: string, env: Env, waitMs: number): Promise<LockKind> {
  const untilMs = env.clock.monotonic() + waitMs;
  for (;;) {
    const kind = await file.tryLock();
    if (kind !== undefined) return kind;
    if (env.clock.monotonic() >= untilMs) break;
    await sleep(env, RETRY_MS);
  }
  await file.close();
  throw embeddedLogError("LOG-LOCKED", "another process has this log open", { place: { file: path } });
}
