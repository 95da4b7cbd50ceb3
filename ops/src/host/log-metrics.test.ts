import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { registerLogMetrics } from "./log-metrics.ts";

test("the metrics say how far each follower of the log is behind", async () => {
  const registry = new Registry();
  registerLogMetrics(registry, { lags: () => ({ index: 7, "audit tree": 9 }) });
  const text = await registry.metrics();
  expect(text).toContain('millrace_log_follower_lag_events{follower="index"} 7');
  expect(text).toContain('millrace_log_follower_lag_events{follower="audit tree"} 9');
});
