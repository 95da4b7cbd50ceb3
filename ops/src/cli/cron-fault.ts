/** Whether a cron pattern says a time, by the library that waits for it. */
import { messageOf } from "@millrace/engine";
import { Cron } from "croner";

/** In one sentence; `undefined`: nothing is wrong. */
export function cronFault(pattern: string): string | undefined {
  try {
    const next = new Cron(pattern, { timezone: "UTC" }).nextRun();
    return next === null ? `\`${pattern}\` is a time that never comes` : undefined;
  } catch (cause) {
    return `\`${pattern}\` is no cron schedule: ${messageOf(cause).replace(/^CronPattern: /, "")}`;
  }
}
