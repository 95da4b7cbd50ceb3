import { type Env, sleep } from "@millrace/engine";

/** Resolves `delayMs` from now, or at once when `signal` aborts: for waits that a closing log cuts short. */
export async function pause(env: Env, delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(env, delayMs, signal);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
