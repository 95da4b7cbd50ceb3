/** The log as the table `events`, one row per event, and as the view `steps`, one row per step of a node. */
import {
  BIGINT,
  type DuckDBAppender,
  DuckDBDataChunk,
  DuckDBTimestampValue,
  type DuckDBType,
  type DuckDBValue,
  INTEGER,
  TIMESTAMP,
  VARCHAR,
} from "@duckdb/node-api";
import type { EventDocument } from "@millrace/gateway";
import { queryError } from "./query-error.ts";
import type { SqlDatabase } from "./sql-database.ts";

interface EventColumn {
  readonly type: DuckDBType;
  readonly of: (event: EventDocument) => DuckDBValue;
}

/** An event's columns, in the order of `select *`. Times are UTC, ids 32 hex digits. */
const COLUMNS: Readonly<Record<string, EventColumn>> = {
  position: { type: BIGINT, of: (event) => BigInt(event.position) },
  time: { type: TIMESTAMP, of: (event) => new DuckDBTimestampValue(BigInt(Math.round(event.timeMs * 1000))) },
  stream: { type: VARCHAR, of: (event) => event.stream },
  revision: { type: BIGINT, of: (event) => BigInt(event.revision) },
  type: { type: VARCHAR, of: (event) => event.type },
  graph: { type: VARCHAR, of: (event) => event.graph },
  graph_revision: { type: INTEGER, of: (event) => event.graphRevision },
  node: { type: VARCHAR, of: (event) => event.node },
  epoch: { type: BIGINT, of: (event) => BigInt(event.epoch) },
  code_version: { type: VARCHAR, of: (event) => event.codeVersion },
  id: { type: VARCHAR, of: (event) => event.id },
  causation_id: { type: VARCHAR, of: (event) => event.causationId },
  correlation_id: { type: VARCHAR, of: (event) => event.correlationId },
  principal: { type: VARCHAR, of: (event) => event.principal },
  tenant: { type: VARCHAR, of: (event) => event.tenant },
  schema_version: { type: INTEGER, of: (event) => event.schemaVersion },
  payload_bytes: { type: BIGINT, of: (event) => BigInt(event.payloadBytes) },
};

export const EVENTS = "events";
export const STEPS = "steps";
export const PAYLOAD = "payload";

/** Most rows of one DuckDB vector. */
const CHUNK_ROWS_MAX = 2048;
/** What the appender holds in memory before it hands it to the database. */
const FLUSH_BYTES = 16 * 1024 * 1024;

/** Defines `events` and `steps`, empty. */
export async function defineEvents(database: SqlDatabase): Promise<void> {
  const columns = Object.entries(COLUMNS).map(([name, { type }]) => `${name} ${type}`);
  await database.define(`CREATE TABLE ${EVENTS} (${columns.join(", ")}, ${PAYLOAD} JSON)`);
  await database.define(STEPS_VIEW);
}

/**
 * What is read of a step's payload, taken out of it at once: each expression over JSON keeps room for the payloads of a whole vector, and
 * what a query holds so cannot be put into a file.
 */
const STEP = `json_transform(${PAYLOAD}, '{"at":"DOUBLE", "inputs":[{"messages":"BIGINT", "shed":"BIGINT"}], "emitted":[{"count":"BIGINT"}],
  "state":["BOOLEAN"], "dead":["BOOLEAN"], "dropped":[{"count":"BIGINT"}]}')`;

const total = (list: string, field: string): string =>
  `coalesce(list_sum(list_transform(${STEP}.${list}, lambda one: one.${field})), 0)::BIGINT`;

const STEPS_VIEW = `CREATE VIEW ${STEPS} AS SELECT position, time, stream, revision, graph, graph_revision, node, epoch,
  code_version, make_timestamp(${STEP}.at::BIGINT * 1000) AS step_time,
  ${total("inputs", "messages")} AS messages_in, ${total("inputs", "shed")} AS shed, ${total("emitted", "count")} AS messages_out,
  len(${STEP}.state) AS changes, len(${STEP}.dead) AS dead_letters,
  ${total("dropped", "count")} AS dropped
  FROM ${EVENTS} WHERE type = 'Step'`;

/** Fills `events` a page at a time. */
export class EventTable {
  readonly #appender: DuckDBAppender;
  #bytes = 0;

  private constructor(appender: DuckDBAppender) {
    this.#appender = appender;
  }

  static async open(database: SqlDatabase): Promise<EventTable> {
    return new EventTable(await database.appender(EVENTS, "main"));
  }

  /** @throws SQL-MEMORY */
  append(events: readonly EventDocument[]): void {
    for (let at = 0; at < events.length; at += CHUNK_ROWS_MAX) this.#chunk(events.slice(at, at + CHUNK_ROWS_MAX));
  }

  /** @throws SQL-MEMORY */
  close(): void {
    this.#flush();
    this.#appender.closeSync();
  }

  #chunk(events: readonly EventDocument[]): void {
    const columns = Object.values(COLUMNS);
    const payloads = events.map(({ payload }) => (payload === null ? null : JSON.stringify(payload)));
    const chunk = DuckDBDataChunk.create([...columns.map(({ type }) => type), VARCHAR], events.length);
    chunk.setColumns([...columns.map((column) => events.map(column.of)), payloads]);
    this.#appender.appendDataChunk(chunk);
    this.#bytes += payloads.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    if (this.#bytes >= FLUSH_BYTES) this.#flush();
  }

  #flush(): void {
    try {
      this.#appender.flushSync();
    } catch (thrown) {
      throw queryError("", thrown);
    }
    this.#bytes = 0;
  }
}
