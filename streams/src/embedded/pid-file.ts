/**
 * The fallback of platforms without flock: a file beside the locked one that names the process that holds it and when that
 * process started, so that a file left behind by a dead process, or whose number another process has now, is taken over.
 * It protects against a second opener, not against a late write of a dead one.
 */
import { execFile } from "node:child_process";
import { open, readFile, unlink } from "node:fs/promises";
import { errnoOf } from "@millrace/engine/worker";

const START_TIME_FIELD = 19;

export interface PidFile {
  release(): Promise<void>;
}

/** `undefined` when a living process holds it. */
export async function takePidFile(lockedPath: string): Promise<PidFile | undefined> {
  const path = `${lockedPath}.pid`;
  const own = `${process.pid} ${await startTimeOf(process.pid)}\n`;
  if (!(await create(path, own))) {
    if (await holderLives(path)) return undefined;
    await unlink(path);
    if (!(await create(path, own))) return undefined;
  }
  return { release: () => unlink(path) };
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, "wx");
    await file.writeFile(text);
    await file.sync();
    await file.close();
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === "EEXIST") return false;
    throw thrown;
  }
}

async function holderLives(path: string): Promise<boolean> {
  const [pid, startTime] = (await readFile(path, "utf8")).trim().split(" ");
  return (
    pid !== undefined && startTime !== undefined && startTime !== "" && (await startTimeOf(Number(pid))) === startTime
  );
}

/** Some text that is the same for as long as the process lives; empty when there is none. */
async function startTimeOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TIME_FIELD] ?? "";
  } catch (thrown) {
    if (errnoOf(thrown) !== "ENOENT") throw thrown;
    return new Promise((resolve) => {
      execFile("ps", ["-o", "lstart=", "-p", String(pid)], (_error, stdout) =>
        resolve(stdout.trim().replaceAll(" ", "_")),
      );
    });
  }
}
