/** Whether this host can do its work, check by check, each in one sentence with the observed value. */
import type { GraphStatus } from "@millrace/engine";
import type { HealthCheck, HealthReport } from "@millrace/gateway";
import type { AuditStatus, ProjectionStatus, WitnessStatus } from "@millrace/projections";
import type { EmbeddedLogHealth } from "@millrace/streams/embedded";
import type { Outage } from "@millrace/streams/event-store";

/** A projection this far behind answers with old news; a tree this far behind proves too little. */
const LAG_MS_MAX = 30_000;

export function healthReport(
  log: readonly HealthCheck[],
  projections: readonly ProjectionStatus[],
  graphs: readonly GraphStatus[],
): HealthReport {
  return { checks: [...log, ...projections.map(projectionCheck), ...graphs.map(graphCheck)] };
}

/** Of a log in the data directory, and of those who vouch for it. */
export function ownLogChecks(
  log: EmbeddedLogHealth,
  audit: AuditStatus,
  witnesses: readonly WitnessStatus[] = [],
): readonly HealthCheck[] {
  return [logCheck(log), auditCheck(audit), ...witnesses.map(witnessCheck)];
}

/** Of a log in EventStoreDB. */
export function remoteLogCheck(outage: Outage | undefined, servers: string, nowMs: number): HealthCheck {
  if (outage === undefined) return { name: "log", ok: true, detail: `EventStoreDB answers (${servers})` };
  const seconds = Math.round(Math.max(0, nowMs - outage.sinceMs) / 1000);
  const detail = `ESDB-UNREACHABLE: EventStoreDB (${servers}) has not answered for ${seconds} s: ${outage.reason}`;
  return { name: "log", ok: false, detail };
}

function logCheck({ state, preparation, activeSegment }: EmbeddedLogHealth): HealthCheck {
  if (state === "open") return { name: "log", ok: true, detail: `writable, segment ${activeSegment}` };
  // Appends are refused once the active segment has no room either.
  const why = preparation === undefined ? "" : `: LOG-FULL, the next segment has no space: ${preparation.message}`;
  return { name: "log", ok: false, detail: `${state}${why}` };
}

function auditCheck({ state, size, lag, lagMs, failure, rebuilt }: AuditStatus): HealthCheck {
  const ok = state !== "failed" && failure === undefined && lagMs <= LAG_MS_MAX;
  const why = failure === undefined ? "" : `; ${failure.code}: ${failure.message}`;
  const again = rebuilt === undefined ? "" : `; made again from the log, because ${rebuilt}`;
  return { name: "audit", ok, detail: `${size} records signed, ${lag} behind${why}${again}` };
}

/** A witness is somebody else's machine: that it is away takes no host out of service. That it contradicts the log does. */
function witnessCheck({ name, state, size, lag, failure }: WitnessStatus): HealthCheck {
  const why = failure === undefined ? "" : `; ${failure.code}: ${failure.message}`;
  return { name: `witness ${name}`, ok: state !== "alarm", detail: `${size} records cosigned, ${lag} behind${why}` };
}

function projectionCheck({ name, state, lag, lagMs, reason }: ProjectionStatus): HealthCheck {
  const ok = state !== "failed" && lagMs <= LAG_MS_MAX;
  // One that waits, for room on the disk for one, says for what.
  const why = reason === undefined ? "" : `; ${reason}`;
  const detail = state === "failed" ? (reason ?? "failed") : `${state}, ${lag} events behind${why}`;
  return { name: `projection ${name}`, ok, detail };
}

function graphCheck({ graph, state, nodes }: GraphStatus): HealthCheck {
  const stuck = nodes.filter((node) => node.state === "parked" || node.state === "backing-off");
  const ok = state !== "failed" && stuck.length === 0;
  const why = stuck.map(({ node, state: of, reason }) => `${node} ${of}${reason === "" ? "" : `: ${reason}`}`);
  return { name: `graph ${graph}`, ok, detail: [state, ...why].join("; ") };
}
