/** What a message of the replication stream says as rows: `{op, schema, table, before?, after?, unchanged?, lsn, ordinal, xid, commitTime}`. */
import type { Json, JsonObject } from "@millrace/engine";
import type { Pgoutput } from "pg-logical-replication";
import type { ColumnTypes } from "./column-types.ts";
import { lsnOf, lsnText } from "./lsn.ts";

export type ChangeMessage =
  | Pgoutput.MessageInsert
  | Pgoutput.MessageUpdate
  | Pgoutput.MessageDelete
  | Pgoutput.MessageTruncate;

export interface Transaction {
  /** Of its commit. */
  readonly lsn: bigint;
  /** What each of its rows says of it. */
  readonly says: { readonly xid: number; readonly commitTime: string; readonly lsn: string };
}

export function transactionOf({ commitLsn, commitTime, xid }: Pgoutput.MessageBegin): Transaction {
  const lsn = lsnOf(commitLsn ?? "");
  return { lsn, says: { lsn: lsnText(lsn), xid: xid >>> 0, commitTime: microsText(commitTime.valueOf()) } };
}

export interface ChangeRow {
  readonly row: JsonObject;
  /** About as much as it takes in the log. */
  readonly bytes: number;
}

/** Values by column, as texts. Absent: the server did not send it. */
type Tuple = Readonly<Record<string, string | null | undefined>>;

const ROW_BYTES = 200;
const FIELD_BYTES = 8;

/** How many rows a message makes, which must not depend on anything but the message. */
export function rowCount(message: ChangeMessage): number {
  return message.tag === "truncate" ? message.relations.length : 1;
}

/** The oid of the table of each row. */
export function tablesOf(message: ChangeMessage): readonly number[] {
  const relations = message.tag === "truncate" ? message.relations : [message.relation];
  return relations.map(({ relationOid }) => relationOid);
}

/** @param ordinal of the first row in its transaction */
export async function changeRows(
  message: ChangeMessage,
  transaction: Transaction,
  ordinal: number,
  types: ColumnTypes,
): Promise<readonly ChangeRow[]> {
  if (message.tag !== "truncate") return [await rowOf(message, transaction, ordinal, types)];
  const { cascade, restartIdentity, relations } = message;
  return relations.map((relation, i) => ({
    row: { ...of("truncate", relation), cascade, restartIdentity, ...placeOf(transaction, ordinal + i) },
    bytes: ROW_BYTES,
  }));
}

async function rowOf(
  message: Exclude<ChangeMessage, Pgoutput.MessageTruncate>,
  transaction: Transaction,
  ordinal: number,
  types: ColumnTypes,
): Promise<ChangeRow> {
  const values = new ValueReader(message.relation, types);
  const old = message.tag === "insert" ? null : (message.old ?? message.key);
  const before = old === null ? undefined : await values.read(old);
  const next = message.tag === "delete" ? undefined : message.new;
  const after = next === undefined ? undefined : await values.read(next);
  // Large values that an update leaves alone are not in the log of the server.
  const unchanged = message.relation.columns.flatMap(({ name }) => (next && next[name] === undefined ? [name] : []));
  const row = {
    ...of(message.tag, message.relation),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    ...(unchanged.length === 0 ? {} : { unchanged }),
    ...placeOf(transaction, ordinal),
  };
  return { row, bytes: values.bytes };
}

class ValueReader {
  readonly #relation: Pgoutput.MessageRelation;
  readonly #types: ColumnTypes;
  bytes = ROW_BYTES;

  constructor(relation: Pgoutput.MessageRelation, types: ColumnTypes) {
    this.#relation = relation;
    this.#types = types;
  }

  async read(tuple: Tuple): Promise<JsonObject> {
    const converters = await this.#types.of(this.#relation);
    const fields: (readonly [string, Json])[] = [];
    for (const [i, { name }] of this.#relation.columns.entries()) {
      const text = tuple[name];
      if (text === undefined) continue;
      this.bytes += FIELD_BYTES + name.length + (text?.length ?? 0);
      const value = text === null ? null : converters[i]?.(text);
      fields.push([name, value instanceof Promise ? await value : (value ?? null)]);
    }
    return Object.fromEntries(fields);
  }
}

function of(op: string, { schema, name }: Pgoutput.MessageRelation): JsonObject {
  return { op, schema, table: name };
}

function placeOf({ says: { lsn, xid, commitTime } }: Transaction, ordinal: number): JsonObject {
  return { lsn, ordinal, xid, commitTime };
}

/** ISO 8601 with microseconds, of µs since 1970. */
function microsText(micros: bigint): string {
  const [seconds = ""] = new Date(Number(micros / 1000n)).toISOString().split(".");
  return `${seconds}.${String(micros % 1_000_000n).padStart(6, "0")}Z`;
}
