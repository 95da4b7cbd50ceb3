/** The loop of sources that make their own messages: waits until the next time is due, then asks for a step. */
import { type CommittedContext, type Draft, type Env, sleep } from "@millrace/engine";

/** Longest single wait: a wall clock that is set meanwhile is looked at again after it. */
const WAIT_MS_MAX = 60_000;

export interface Ticking {
  /** When the next tick is due, in ms since 1970, strictly after `now`; `undefined`: never again. */
  next(now: number): number | undefined;
  /** One tick, on its draft. */
  tick(draft: Draft): void;
}

/**
 * Ticks until the context's signal aborts. A tick that takes longer than the time between two is not made up for, and one
 * whose step is refused is lost: what is wrong shows at the node, and the next tick tries again.
 */
export async function tickAlong({ next, tick }: Ticking, context: CommittedContext, env: Env): Promise<void> {
  for (let due = next(env.clock.now()); due !== undefined; due = next(env.clock.now())) {
    if (!(await waitUntil(due, next, context.signal, env))) return;
    await context.request(tick).catch(() => {});
  }
}

/** Times are the wall clock's, so one that was set back brings the next time nearer. False when the signal aborted first. */
async function waitUntil(due: number, next: Ticking["next"], signal: AbortSignal, env: Env): Promise<boolean> {
  try {
    for (let now = env.clock.now(), at = due; now < at; now = env.clock.now(), at = Math.min(at, next(now) ?? at)) {
      await sleep(env, Math.min(at - now, WAIT_MS_MAX), signal);
    }
    return !signal.aborted;
  } catch (reason) {
    if (signal.aborted) return false;
    throw reason;
  }
}
