/** What a database knows of a table. */
import type { ColumnShape, FaultError, TableName, TableShape } from "../sql/table.ts";
import { sqliteError } from "./errors.ts";
import type { Session } from "./session.ts";
import type { SqliteRow } from "./sqlite-file.ts";

export const sqliteFault: FaultError = (fault, message, options) => sqliteError(`SQLITE-${fault}`, message, options);

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const quoted = ({ schema, table }: TableName): string => `${identifier(schema)}.${identifier(table)}`;

/** Of the columns that are stored or generated; those of a virtual table that are hidden are no part of a row. */
const COLUMNS = `select name, lower(type) as type, "notnull", pk, hidden from pragma_table_xinfo(?, ?) where hidden <> 1`;
const INDEXES = `select l.name, group_concat(coalesce(i.name, ''), char(10)) as columns
  from pragma_index_list(?, ?) l join pragma_index_info(l.name, ?) i where l."unique" = 1 and l.partial = 0 group by l.name`;

/** A number of a table that its being rebuilt outlives does not exist, so a shape has no identity. `undefined`: there is no such table. */
export async function tableShape(session: Session, name: TableName): Promise<TableShape | undefined> {
  return shapeOf(session, name, await session.query(COLUMNS, name.table, name.schema));
}

/** Without the columns that the database computes, which cannot be written. */
export async function storedShape(session: Session, name: TableName): Promise<TableShape | undefined> {
  const columns = await session.query(COLUMNS, name.table, name.schema);
  return shapeOf(
    session,
    name,
    columns.filter(({ hidden }) => hidden === 0n),
  );
}

async function shapeOf(
  session: Session,
  name: TableName,
  columns: readonly SqliteRow[],
): Promise<TableShape | undefined> {
  if (columns.length === 0) return undefined;
  const unique = await uniqueKeys(session, name);
  const shapes = columns.map((row): readonly [string, ColumnShape] => {
    const [column, type] = [String(row.name), typeOf(String(row.type))];
    const isUnique = unique.some((key) => key.length === 1 && key[0] === column);
    // Of all primary keys only the one that is the row's own number cannot be null.
    const isNumber = row.type === "integer" && row.pk === 1n && columns.filter(({ pk }) => pk !== 0n).length === 1;
    return [column, { type, isNullable: row.notnull !== 1n && !isNumber, isUnique }];
  });
  return { identity: undefined, columns: new Map(shapes) };
}

/** A column with such a type keeps integers as integers, whatever it is called. */
const typeOf = (declared: string): string => (declared.includes("int") ? "integer" : declared);

/** Columns that together are unique over all rows. */
export async function uniqueKeys(session: Session, name: TableName): Promise<readonly (readonly string[])[]> {
  const columns = await session.query(COLUMNS, name.table, name.schema);
  const primary = columns.filter(({ pk }) => pk !== 0n).map((row) => String(row.name));
  const indexes = await session.query(INDEXES, name.table, name.schema, name.schema);
  const keys = indexes.map((row) => String(row.columns).split("\n"));
  return primary.length === 0 ? keys : [primary, ...keys];
}
