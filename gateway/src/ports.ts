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
  /** Every field that any row has had; absent where that is not known, or they are very many. */
  readonly fields?: readonly string[];
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
   * @param signal aborts when whoever asked has gone: then its reason is thrown
   * @throws PROJECTION-* codes of the implementation; `rejected` ones become 4xx, `transient` ones 429 or 503
   */
  query(name: string, query: ProjectionQuery, signal?: AbortSignal): Promise<ProjectionPage>;
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

/** A position of the log, exclusive, or the end of a millisecond since 1970. */
export type Moment = { readonly position: number } | { readonly timeMs: number };

/** How far a node has consumed one of its lanes. */
export interface LaneState {
  readonly lane: string;
  readonly pos: number;
  readonly ord: number;
  readonly idle: boolean;
  readonly watermarkMs: number | null;
}

/** A node as the fold of its stream. */
export interface NodeState {
  readonly graph: string;
  readonly node: string;
  readonly kind: string;
  readonly stream: string;
  /** Everything below this position is in it. */
  readonly asOf: number;
  readonly graphRevision: number;
  /** Revision of the last event folded; -1 before the first. */
  readonly revision: number;
  readonly epoch: number;
  readonly steps: number;
  /** Time of the last step; null before the first. */
  readonly stepTimeMs: number | null;
  readonly watermarkMs: number | null;
  readonly lanes: readonly LaneState[];
  /** Messages sent so far, by port. */
  readonly sent: Readonly<Record<string, number>>;
  /** Fields that identify a row. */
  readonly key: readonly string[];
  /** How many rows there are; `rows` may be the first of them. */
  readonly rowCount: number;
  readonly rows: readonly JsonObject[];
}

export interface NodeStateDiff {
  readonly graph: string;
  readonly node: string;
  /** Everything but the rows, before and after. */
  readonly from: Omit<NodeState, "rows">;
  readonly to: Omit<NodeState, "rows">;
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly changes: readonly RowChange[];
}

export interface RowChange {
  readonly key: JsonObject;
  /** Null where there was no such row. */
  readonly before: JsonObject | null;
  /** Null where there is none any more. */
  readonly after: JsonObject | null;
}

/** One event's change of a field, with who did it and why. */
export interface StateChange {
  readonly position: number;
  readonly timeMs: number;
  readonly type: string;
  readonly principal: string;
  readonly codeVersion: string;
  readonly graphRevision: number;
  readonly correlationId: string;
  readonly causationId: string;
  /** What the event consumed, or the reason that was given. */
  readonly why: string;
  readonly key: JsonObject;
  readonly before: Json;
  readonly after: Json;
}

export interface StateChanges {
  /** The first position that was looked at: what is before it was pruned. */
  readonly from: number;
  /** Everything below this position was looked at. */
  readonly asOf: number;
  /** Oldest first. */
  readonly changes: readonly StateChange[];
  /** How many there are, with those that are left out. */
  readonly total: number;
  /** Fields that rows of the state have had, as far as it was looked at; some of them where there are very many. */
  readonly fields: readonly string[];
}

/** Each ends, with the reason of `signal`, when whoever asked has gone: a stream may be long. */
export interface NodeStateReader {
  /** @throws codes of the implementation where there is no such graph, node or moment */
  at(graph: string, node: string, moment: Moment | undefined, signal: AbortSignal): Promise<NodeState>;
  diff(graph: string, node: string, from: Moment, to: Moment | undefined, signal: AbortSignal): Promise<NodeStateDiff>;
  /** The newest `limit` of them, as a long stream has more than memory has room for. */
  changes(graph: string, node: string, field: string, limit: number, signal: AbortSignal): Promise<StateChanges>;
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
