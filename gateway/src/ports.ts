/**
 * What the gateway reads beside the engine's `GraphHost` and `EventLog`. The ports are declared by their reader, so that
 * projections fit by structure.
 */
import type { DeadLetter, Json, JsonObject, RecordedEvent } from "@millrace/engine";

export interface ProjectionInfo {
  readonly name: string;
  readonly version: number;
  /** Log position up to which it has folded, exclusive. */
  readonly asOf: number;
  /** Events of the log that it has not folded yet. */
  readonly lag: number;
  /** Age in ms of the newest event folded while there is lag. */
  readonly lagMs?: number;
  /** `live` follows the log; `building` catches up; `failed` stands still, `reason` says why. */
  readonly state: "building" | "live" | "failed";
  readonly reason?: string;
  readonly rows?: number;
  /** Fields that identify a row. */
  readonly key?: readonly string[];
}

export interface ProjectionQuery {
  /** Equality on fields, as text; all must hold. */
  readonly where?: Readonly<Record<string, string>>;
  /** Most rows, `1..1000`. */
  readonly limit?: number;
  /** `next` of the answer before. */
  readonly cursor?: string;
  readonly order?: "asc" | "desc";
  /** Waits until the projection has folded this position: read your own write. */
  readonly minPosition?: number;
  /** Rows as they were at this position. */
  readonly asOf?: number;
  /** Rows as they were at the end of this millisecond since 1970. */
  readonly asOfTimeMs?: number;
}

export interface ProjectionPage {
  /** The rows are exactly the fold of the log up to here. */
  readonly asOf: number;
  readonly rows: readonly JsonObject[];
  /** Cursor of the next page; `null` on the last. */
  readonly next: string | null;
}

export interface ProjectionReader {
  list(): readonly ProjectionInfo[] | Promise<readonly ProjectionInfo[]>;
  /**
   * @throws PROJECTION-* codes of the implementation; `rejected` ones become 4xx, `transient` ones 503
   */
  query(name: string, query: ProjectionQuery): Promise<ProjectionPage>;
}

export interface DeadLetterFilter {
  readonly graph?: string;
  readonly node?: string;
  readonly code?: string;
  readonly state?: DeadLetter["state"];
  readonly limit: number;
  readonly cursor?: string;
}

export interface DeadLetterPage {
  readonly asOf: number;
  readonly rows: readonly DeadLetter[];
  readonly next: string | null;
}

/** Dead letters, newest first. */
export interface DeadLetterReader {
  list(filter: DeadLetterFilter): Promise<DeadLetterPage>;
  get(id: string): Promise<DeadLetter | undefined>;
}

export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  /** One sentence with the observed value. */
  readonly detail: string;
}

export interface HealthReport {
  /** Every check that readiness needs; the process is ready when all are ok. */
  readonly checks: readonly HealthCheck[];
}

/** The payload of a stored event in a form that people read. */
export type DescribeEvent = (event: RecordedEvent) => Json;
