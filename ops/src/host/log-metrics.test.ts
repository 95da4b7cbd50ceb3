import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { registerLogMetrics } from "./log-metrics.ts";

test("the metrics say how far each follower of the log is behind", async () => {
  const registry = new Registry();
  const log = { health: { indexLag: 7 } } as Parameters<typeof registerLogMetrics>[1];
  const tree = { status: () => ({ lag: 9 }) } as Parameters<typeof registerLogMetrics>[2];
  registerLogMetrics(registry, log, tree);
  const text = await registry.metrics();
  expect(text).toContain('millrace_log_follower_lag_events{follower="index"} 7');
  expect(text).toContain('millrace_log_follower_lag_events{follower="audit tree"} 9');
});
