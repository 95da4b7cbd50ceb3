import type { Path, ProblemList } from "./problem.ts";

export interface CronRules {
  /** What is wrong with a cron pattern of 5 or 6 fields; `undefined`: nothing. Not checked when absent. */
  readonly cronFault?: ((pattern: string) => string | undefined) | undefined;
}

/** A pattern says when; what its fields may hold is known to whoever waits for its times. */
export function checkCron(pattern: string, path: Path, { cronFault }: CronRules, problems: ProblemList): void {
  const hasFields = [5, 6].includes(pattern.trim().split(/\s+/).length);
  const rule = "a cron schedule has 5 fields, or 6 with seconds, as in */5 * * * *";
  const fault = hasFields ? cronFault?.(pattern.trim()) : rule;
  if (fault !== undefined) problems.add("GRAPH-TIME", path, fault);
}
