/** What a host needs to be open, wherever its log is. */
import type { EventLog, SnapshotStore, SubjectKeys } from "@millrace/engine";
import type { HealthCheck } from "@millrace/gateway";
import type { AuditTree, Cosigning, ProjectionRunner } from "@millrace/projections";
import type { DataDirectory } from "./data-directory.ts";
import type { DeclaredProjection } from "./graph-stream.ts";

export interface HostData {
  readonly directory: DataDirectory;
  readonly log: EventLog;
  readonly snapshots: SnapshotStore;
  /** Of personal values; absent: graphs have none. */
  readonly keys: SubjectKeys | undefined;
  /** Follows the log from its opening to its close; absent: nothing is signed of it. */
  readonly audit: AuditTree | undefined;
  /** Has witnesses cosign what is signed of the log; absent when none were given, or nothing can be signed. */
  readonly cosigning: Cosigning | undefined;
  /** Of the log, and of what vouches for it. */
  checks(): readonly HealthCheck[];
  /** Durable events that what follows the log does not have yet, by follower; none of a log that others follow. */
  lags(): Readonly<Record<string, number>>;
  /** Starts a runner for the projections of the log and these further ones. @throws HOST-PROJECTION */
  project(declared: readonly DeclaredProjection[]): Promise<ProjectionRunner>;
  close(): Promise<void>;
}
