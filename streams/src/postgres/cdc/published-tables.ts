/** The tables of a publication, and what of each it publishes. */
import { type Client, escapeIdentifier } from "pg";
import { quoted } from "../table.ts";

export interface PublishedTable {
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  /** Rows are those of its partitions. */
  readonly isPartitioned: boolean;
  /** Condition on the rows; null: all of them. */
  readonly filter: string | null;
  readonly columns: readonly string[];
}

/** Filters and lists of columns came with PostgreSQL 15. Generated columns are not published. */
const TABLES = `
select c.oid::int8::text as oid, p.schemaname as schema, p.tablename as "table", c.relkind = 'p' as "isPartitioned",
  to_jsonb(p) ->> 'rowfilter' as filter,
  (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      and coalesce(nullif(to_jsonb(p) -> 'attnames', 'null'::jsonb) ? a.attname::text, true)) as columns
from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname
join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
where p.pubname = $1 order by c.oid`;

/** In the order of their oids. */
export async function publishedTables(client: Client, publication: string): Promise<readonly PublishedTable[]> {
  return (await client.query<PublishedTable>(TABLES, [publication])).rows;
}

/** Tables that were written anew since the snapshot of the transaction, as by `truncate` or some forms of `alter table`, look empty in it. */
const REWRITTEN = `
with parts(oid) as (select unnest($1::oid[]) union select t.relid::oid from unnest($1::oid[]) r, pg_partition_tree(r) t)
select c.relname as name from pg_class c join parts using (oid)
where c.relkind = 'r' and c.relfilenode is distinct from pg_relation_filenode(c.oid)`;

/** The first table that does not hold any more what the snapshot of the transaction says. */
export async function rewrittenTable(client: Client, tables: readonly PublishedTable[]): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>(REWRITTEN, [tables.map(({ oid }) => oid)]);
  return rows[0]?.name;
}

/** Rows as those of a table source. */
export function selectRows({ schema, table, isPartitioned, filter, columns }: PublishedTable): string {
  // What inherits from a table is published by its own name.
  const from = `${isPartitioned ? "" : "only "}${quoted({ schema, table })}`;
  const where = filter === null ? "" : ` where ${filter}`;
  return `select row_to_json(t)::text as row from (select ${columns.map(escapeIdentifier).join(", ")} from ${from}${where}) t`;
}
