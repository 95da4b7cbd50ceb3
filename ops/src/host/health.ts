/** Whether this host can do its work, check by check, each in one sentence with the observed value. */
import type { GraphStatus } from "@millrace/engine";
import type { HealthCheck, HealthReport } from "@millrace/gateway";
import type { ProjectionStatus } from "@millrace/projections";
import type { EmbeddedLogHealth } from "@millrace/streams/embedded";

/** A projection this far behind answers with old news. */
const LAG_MS_MAX = 30_000;

export function healthReport(
  log: EmbeddedLogHealth,
  projections: readonly ProjectionStatus[],
  graphs: readonly GraphStatus[],
): HealthReport {
  return { checks: [logCheck(log), ...projections.map(projectionCheck), ...graphs.map(graphCheck)] };
}

function logCheck({ state, preparation, activeSegment }: EmbeddedLogHealth): HealthCheck {
  if (state === "open") return { name: "log", ok: true, detail: `writable, segment ${activeSegment}` };
  // Appends are refused once the active segment has no room either.
  const why = preparation === undefined ? "" : `: LOG-FULL, the next segment has no space: ${preparation.message}`;
  return { name: "log", ok: false, detail: `${state}${why}` };
}

function projectionCheck({ name, state, lag, lagMs, reason }: ProjectionStatus): HealthCheck {
  const ok = state !== "failed" && lagMs <= LAG_MS_MAX;
  const detail = state === "failed" ? (reason ?? "failed") : `${state}, ${lag} events behind`;
  return { name: `projection ${name}`, ok, detail };
}

function graphCheck({ graph, state, nodes }: GraphStatus): HealthCheck {
  const stuck = nodes.filter((node) => node.state === "parked" || node.state === "backing-off");
  const ok = state !== "failed" && stuck.length === 0;
  const why = stuck.map(({ node, state: of, reason }) => `${node} ${of}${reason === "" ? "" : `: ${reason}`}`);
  return { name: `graph ${graph}`, ok, detail: [state, ...why].join("; ") };
}
