/** What follows the log, and how far it is behind: read when somebody scrapes. */
import type { AuditTree } from "@millrace/projections";
import type { EmbeddedLog } from "@millrace/streams/embedded";
import { Gauge, type Registry } from "prom-client";

export function registerLogMetrics(
  registry: Registry,
  log: Pick<EmbeddedLog, "health">,
  tree: Pick<AuditTree, "status">,
): void {
  new Gauge({
    name: "millrace_log_follower_lag_events",
    help: "Durable events that the index does not have yet, or that the audit tree has not signed.",
    labelNames: ["follower"],
    registers: [registry],
    collect() {
      this.set({ follower: "index" }, log.health.indexLag);
      this.set({ follower: "audit tree" }, tree.status().lag);
    },
  });
}
