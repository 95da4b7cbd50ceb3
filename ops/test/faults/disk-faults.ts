/** The disk faults of `disk-faults.c`, for a process that is started with this environment. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Why this machine has no compiler; `undefined` when it has one. */
export const noCompiler: string | undefined = process.env.MILLRACE_SKIP_CC;

/** @param directory in which the library is built */
export function preload(directory: string): NodeJS.ProcessEnv {
  const library = join(directory, "disk-faults.so");
  const source = join(import.meta.dirname, "disk-faults.c");
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
  return { LD_PRELOAD: library };
}
