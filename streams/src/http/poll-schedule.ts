/** When an address is asked: so long after it was asked last, or by a cron pattern in UTC. */
import { type Env, sleep } from "@millrace/engine";
import { Cron } from "croner";

export type PollSchedule = { readonly everyMs: number } | { readonly cron: string };

/** Longest single wait: timers hold no more than 24 days, and a wall clock may be set meanwhile. */
const WAIT_MS_MAX = 60_000;

/** Resolves when it is time to ask. The first time of an interval is now. Rejects with the signal's reason. */
export async function waitForPoll(
  schedule: PollSchedule,
  isFirst: boolean,
  env: Env,
  signal: AbortSignal,
): Promise<void> {
  if (!("cron" in schedule)) {
    const untilMs = env.clock.monotonic() + (isFirst ? 0 : schedule.everyMs);
    await waitUntil(untilMs, () => env.clock.monotonic(), env, signal);
    return;
  }
  const due = new Cron(schedule.cron, { timezone: "UTC" }).nextRun(new Date(env.clock.now()))?.getTime();
  await waitUntil(due ?? Number.POSITIVE_INFINITY, () => env.clock.now(), env, signal);
}

async function waitUntil(untilMs: number, now: () => number, env: Env, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  for (let left = untilMs - now(); left > 0; left = untilMs - now())
    await sleep(env, Math.min(left, WAIT_MS_MAX), signal);
}
