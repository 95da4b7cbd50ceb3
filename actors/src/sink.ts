/**
 * Sinks: the ends of a graph. A sink's state is its cursor and what its target said when it last delivered; it delivers, then
 * commits (DESIGN §3). What that is worth depends on the target (R27).
 */
import {
  type Batch,
  ColumnBatch,
  type CommittedBehavior,
  encodeBatch,
  fieldOf,
  type InputSlice,
  isJsonObject,
  type Json,
  type MessageFailure,
  type SinkConnector,
  type StateEvent,
} from "@millrace/engine";
import { actorError } from "./errors.ts";
import { type SinkPayloads, withBytes } from "./sink-payloads.ts";
import { survivorsOf } from "./survivors.ts";

/** Delivers to a target outside the log, with the guarantee that the connector declares. */
export function connectorSink(connector: SinkConnector, payloads?: SinkPayloads): CommittedBehavior {
  let committed: Json | undefined;
  let delivered: { readonly result: Json } | undefined;
  let slices: InputSlice[] = [];
  /** The target holds a delivery that was never committed: it must be brought back before the next. */
  let isAhead = false;
  const learn = (state: StateEvent): void => {
    committed = (state as { readonly committed: Json }).committed;
  };
  return {
    kind: "committed",
    ports: [],
    guarantee: connector.guarantee,
    ...(connector.connection === undefined ? {} : { connection: connector.connection.bind(connector) }),
    open: () => connector.open(committed),
    take(_, slice) {
      if (slice.batch.n > 0) slices.push(slice);
    },
    async finish(draft) {
      if (slices.length === 0) return;
      const leaving = payloads?.exchange.isUsed === true ? await withBytes(slices, payloads, draft) : slices;
      if (isAhead) await connector.open(committed);
      isAhead = true;
      const result = await connector.deliver(leaving);
      delivered = { result };
      draft.change({ committed: result });
    },
    seal() {
      if (delivered !== undefined) committed = delivered.result;
      delivered = undefined;
      isAhead = false;
      slices = [];
    },
    discard() {
      delivered = undefined;
      slices = [];
    },
    fold: learn,
    snapshot: () => (committed === undefined ? null : { committed }),
    restore(snapshot) {
      if (snapshot !== null) learn(snapshot);
    },
    close: () => connector.close(),
  };
}

export interface ProjectionSinkOptions {
  /** Name under which the rows are queried. */
  readonly name: string;
  /** Fields that identify a row; a later row with the same key replaces it. Empty: every row is kept. */
  readonly key: readonly string[];
}

/**
 * Writes rows to the log as state events `{ rows: <encoded batch> }`, from which a projection folds them. Rows without a
 * value for every key field are rejected (`PROJECTION-KEY`).
 */
export function projectionSink({ name, key }: ProjectionSinkOptions): CommittedBehavior {
  return {
    kind: "committed",
    ports: [],
    take(draft, slice) {
      if (slice.batch.n === 0) return;
      const failures = keyless(slice.batch, key, name);
      if (failures.length > 0) draft.reject(slice, failures);
      const left = survivorsOf(slice.batch.n, failures);
      const batch = left === null ? slice.batch : slice.batch.select(left);
      if (batch.n > 0) draft.change({ rows: encodeBatch(batch) });
    },
    seal() {},
    discard() {},
    fold() {},
    // The rows are the projection's; whoever carried them from here found them in the log.
    restore() {},
  };
}

function keyless(batch: Batch, key: readonly string[], name: string): readonly MessageFailure[] {
  if (key.length === 0) return [];
  if (batch instanceof ColumnBatch && key.every((field) => isComplete(batch, field))) return [];
  const failures: MessageFailure[] = [];
  for (let index = 0; index < batch.n; index++) {
    const row = batch.row(index);
    const fault = keyFault(row, key);
    if (fault === undefined) continue;
    failures.push({ index, error: actorError("PROJECTION-KEY", `a row for projection ${name} ${fault}`) });
  }
  return failures;
}

function keyFault(row: Json, key: readonly string[]): string | undefined {
  if (!isJsonObject(row)) return "is no object";
  const lacking = key.find((field) => (fieldOf(row, field) ?? null) === null);
  return lacking === undefined ? undefined : `lacks ${lacking}`;
}

function isComplete(batch: ColumnBatch, field: string): boolean {
  const column = batch.columns.get(field);
  if (column === undefined || column.type === "json" || column.nulls !== null) return false;
  return column.type !== "dictionary" || !column.dictionary.values.includes(null);
}

/** Consumes messages and does nothing: the end of a branch that only its edges are watched of. */
export function discardSink(): CommittedBehavior {
  return { kind: "committed", ports: [], take() {}, seal() {}, discard() {}, fold() {} };
}
