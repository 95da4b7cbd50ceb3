/** What a host prints while it runs: it looks about once a second for what is news, and says each piece with the time. */
import type { Env, Timer } from "@millrace/engine";

const EVERY_MS = 1000;
/** To look at graphs of many nodes takes long: at most this share of a processor. */
const SHARE_MAX = 0.002;

/** @returns what ends it */
export function logNews(
  looks: readonly (() => readonly string[])[],
  env: Env,
  write: (line: string) => void,
): () => void {
  let timer: Timer;
  const look = (): void => {
    const beganMs = env.clock.monotonic();
    const news = looks.flatMap((each) => each());
    const tookMs = env.clock.monotonic() - beganMs;
    for (const text of news) write(`${new Date(env.clock.now()).toISOString()} ${text}`);
    timer = env.timers.after(Math.max(EVERY_MS, tookMs / SHARE_MAX), look);
  };
  timer = env.timers.after(EVERY_MS, look);
  return () => timer.cancel();
}
