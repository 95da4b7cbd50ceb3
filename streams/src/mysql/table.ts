/** What the server knows of a table. A schema is what it calls a database. */
import type { FaultError, TableName, TableShape } from "../sql/table.ts";
import { mysqlError } from "./errors.ts";
import { identifier, type Session, textOf } from "./session.ts";

export const mysqlFault: FaultError = (fault, message, options) => mysqlError(`MYSQL-${fault}`, message, options);

export const quoted = ({ schema, table }: TableName): string => `${identifier(schema)}.${identifier(table)}`;

/** Unique indexes over whole columns, each with its columns. */
const INDEXES = `select index_name as name, group_concat(column_name order by seq_in_index separator '\\0') as columns
from information_schema.statistics
where table_schema = ? and table_name = ? and non_unique = 0 group by index_name having count(sub_part) = 0`;

const COLUMNS = `select column_name as name, data_type as type, is_nullable as nullable
from information_schema.columns where table_schema = ? and table_name = ?`;

/** MariaDB keeps JSON as a text that is checked to be some. */
const JSON_COLUMNS = `select substring_index(substring_index(check_clause, '\`', 2), '\`', -1) as name
from information_schema.check_constraints
where constraint_schema = ? and table_name = ? and check_clause = concat('json_valid(\`', constraint_name, '\`)')`;

/** `undefined`: there is no such table. Such a shape has no identity: no number of a table outlives its being rebuilt. */
export async function tableShape(session: Session, name: TableName): Promise<TableShape | undefined> {
  const of = [name.schema, name.table];
  const columns = await session.query(COLUMNS, of);
  if (columns.length === 0) return undefined;
  const unique = new Set((await uniqueIndexes(session, name)).filter(({ length }) => length === 1).flat());
  const json = (await isMariaDb(session)) ? await session.query(JSON_COLUMNS, of) : [];
  const asJson = new Set(json.map((row) => textOf(row.name)));
  const shapes = columns.map((row) => {
    const column = textOf(row.name) ?? "";
    const type = asJson.has(column) ? "json" : (textOf(row.type) ?? "");
    return [column, { type, isNullable: textOf(row.nullable) === "YES", isUnique: unique.has(column) }] as const;
  });
  return { identity: undefined, columns: new Map(shapes) };
}

export async function uniqueIndexes(session: Session, name: TableName): Promise<readonly (readonly string[])[]> {
  const rows = await session.query(INDEXES, [name.schema, name.table]);
  return rows.map(({ columns }) => (textOf(columns) ?? "").split("\0"));
}

export async function isMariaDb(session: Session): Promise<boolean> {
  const [row] = await session.query("select version() as version");
  return textOf(row?.version)?.includes("MariaDB") === true;
}
