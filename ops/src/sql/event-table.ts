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

const total = (list: string, field: string): string =>
  `coalesce(list_sum(CAST(${PAYLOAD}->'$.${list}[*].${field}' AS BIGINT[])), 0)::BIGINT`;

const STEPS_VIEW = `CREATE VIEW ${STEPS} AS SELECT position, time, stream, revision, graph, graph_revision, node, epoch,
  code_version, make_timestamp((${PAYLOAD}->>'$.at')::BIGINT * 1000) AS step_time,
  ${total("inputs", "messages")} AS messages_in, ${total("inputs", "shed")} AS shed, ${total("emitted", "count")} AS messages_out,
  json_array_length(${PAYLOAD}, '$.state')::BIGINT AS changes, json_array_length(${PAYLOAD}, '$.dead')::BIGINT AS dead_letters,
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

  append(events: readonly EventDocument[]): void {
    for (let at = 0; at < events.length; at += CHUNK_ROWS_MAX) this.#chunk(events.slice(at, at + CHUNK_ROWS_MAX));
  }

  close(): void {
    this.#appender.flushSync();
    this.#appender.closeSync();
  }

  #chunk(events: readonly EventDocument[]): void {
    const columns = Object.values(COLUMNS);
    const payloads = events.map(({ payload }) => (payload === null ? null : JSON.stringify(payload)));
    const chunk = DuckDBDataChunk.create([...columns.map(({ type }) => type), VARCHAR], events.length);
    chunk.setColumns([...columns.map((column) => events.map(column.of)), payloads]);
    this.#appender.appendDataChunk(chunk);
    this.#bytes += payloads.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    if (this.#bytes < FLUSH_BYTES) return;
    this.#appender.flushSync();
    this.#bytes = 0;
  }
}
