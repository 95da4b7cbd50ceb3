/**
 * Tells the operator's log when a check of this host begins to fail and when it holds again, so that a full disk or a parked
 * node is seen by those who read what a process prints, and not only by those who ask `/readyz`.
 */
import type { HealthReport } from "@millrace/gateway";

/** @returns what is news at each look. The same finding with other numbers in it is not told again. */
export function healthNews(health: () => HealthReport): () => readonly string[] {
  const told = new Map<string, string>();
  return () =>
    health().checks.flatMap(({ name, ok, detail }) => {
      const finding = ok ? undefined : detail.replaceAll(/\d+/g, "0");
      if (finding === told.get(name)) return [];
      if (finding === undefined) told.delete(name);
      else told.set(name, finding);
      return [ok ? `ready again: ${name}: ${detail}` : `not ready: ${name}: ${detail}`];
    });
}
