/** What follows the log, and how far it is behind: read when somebody scrapes. */
import { Gauge, type Registry } from "prom-client";
import type { HostData } from "./host-data.ts";

export function registerLogMetrics(registry: Registry, data: Pick<HostData, "lags">): void {
  new Gauge({
    name: "millrace_log_follower_lag_events",
    help: "Durable events that the index does not have yet, or that the audit tree has not signed.",
    labelNames: ["follower"],
    registers: [registry],
    collect() {
      for (const [follower, lag] of Object.entries(data.lags())) this.set({ follower }, lag);
    },
  });
}
