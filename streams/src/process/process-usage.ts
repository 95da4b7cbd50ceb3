/** What Linux tells of a process in `/proc` (proc_pid_stat(5), proc_pid_status(5)). */
import { readFileSync } from "node:fs";
import type { WorkerUsage } from "@millrace/engine";

/** `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Node runs on. */
const MS_PER_TICK = 10;
/** Places of utime and stime behind the command's name, which may hold spaces and brackets itself. */
const UTIME = 11;
const STIME = 12;

/** `undefined` when the process is gone, or the system has no `/proc`. */
export function processUsage(pid: number): WorkerUsage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return {
      residentBytes: bytesOf(status, "VmRSS"),
      residentBytesMax: bytesOf(status, "VmHWM"),
      cpuMs: (Number(fields[UTIME]) + Number(fields[STIME])) * MS_PER_TICK,
    };
  } catch {
    return undefined;
  }
}

function bytesOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
}
