/**
 * Tells the operator's log when a check of this host begins to fail and when it holds again, so that a full disk or a parked
 * node is seen by those who read what a process prints, and not only by those who ask `/readyz`.
 */
import type { Env, Timer } from "@millrace/engine";
import type { HealthReport } from "@millrace/gateway";

const EVERY_MS = 1000;

/**
 * Looks once a second. The same finding with other numbers in it is not told again.
 *
 * @returns what ends it
 */
export function logHealth(health: () => HealthReport, env: Env, write: (line: string) => void): () => void {
  const told = new Map<string, string>();
  let timer: Timer;
  const tell = (text: string): void => write(`${new Date(env.clock.now()).toISOString()} ${text}`);
  const look = (): void => {
    for (const { name, ok, detail } of health().checks) {
      const finding = ok ? undefined : detail.replaceAll(/\d+/g, "0");
      if (finding === told.get(name)) continue;
      if (finding === undefined) told.delete(name);
      else told.set(name, finding);
      tell(ok ? `ready again: ${name}: ${detail}` : `not ready: ${name}: ${detail}`);
    }
    timer = env.timers.after(EVERY_MS, look);
  };
  timer = env.timers.after(EVERY_MS, look);
  return () => timer.cancel();
}
