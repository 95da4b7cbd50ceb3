/** What the server knows of a table. Names are looked up as they are written, and quoted wherever they become part of a statement. */
import type { Client } from "pg";
import { escapeIdentifier } from "pg";
import type { FaultError, TableName, TableShape } from "../sql/table.ts";
import { postgresError } from "./errors.ts";

/** A table has an oid, which is its identity. */
export interface PostgresShape extends TableShape {
  readonly identity: string;
}

export const postgresFault: FaultError = (fault, message, options) =>
  postgresError(`POSTGRES-${fault}`, message, options);

export const quoted = ({ schema, table }: TableName): string =>
  `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;

const SHAPE = `
select c.oid::text as oid, a.attname as name, a.atttypid::regtype::text as type, not a.attnotnull as nullable,
  exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
    and i.indnkeyatts = 1 and i.indkey[0] = a.attnum) as is_unique
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped`;

/** `undefined`: there is no such table, or it has no columns. */
export async function tableShape(client: Client, { schema, table }: TableName): Promise<PostgresShape | undefined> {
  const { rows } = await client.query<ShapeRow>(SHAPE, [schema, table]);
  const oid = rows[0]?.oid;
  if (oid === undefined) return undefined;
  const shapes = rows.map(
    ({ name, type, nullable, is_unique }) => [name, { type, isNullable: nullable, isUnique: is_unique }] as const,
  );
  return { identity: oid, columns: new Map(shapes) };
}

interface ShapeRow {
  readonly oid: string;
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly is_unique: boolean;
}
