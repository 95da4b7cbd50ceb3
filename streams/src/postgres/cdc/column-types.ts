/**
 * How the values of columns are read, by the types in the server's catalogue. Numbers, times, texts, enumerations, domains and arrays of these
 * are read here; of what is composed, or has a form in JSON of its own, the server is asked.
 */
import type { Json } from "@millrace/engine";
import type { Client } from "pg";
import type { Pgoutput } from "pg-logical-replication";
import { whileBusy } from "../../sql/busy-sessions.ts";
import { arrayOf, type FromText, SCALARS, TEXT } from "./text-values.ts";

type Converter = (text: string) => Json | Promise<Json>;

/** Vectors of the catalogue's own (22, 30) are arrays that are not written as such. */
const TYPES = `
select t.oid::int8::text as oid, format_type(t.oid, null) as name, t.typtype as type, t.typbasetype::int8::text as base,
  case when t.typcategory = 'A' and t.typlen = -1 then t.typelem else 0 end::int8::text as element, t.typdelim as delimiter,
  t.typtype = 'c' or t.oid in (22, 30) or (t.oid >= 16384 and exists (
    select from pg_cast c where c.castsource = t.oid and c.casttarget = 'json'::regtype and c.castmethod = 'f')) as "isServers"
from pg_type t where t.oid = any($1::oid[])`;

interface TypeRow {
  readonly oid: string;
  readonly name: string;
  readonly type: string;
  readonly base: string;
  readonly element: string;
  readonly delimiter: string;
  readonly isServers: boolean;
}

/** What is known over one session. */
export class ColumnTypes {
  readonly #client: Client;
  readonly #converters = new WeakMap<Pgoutput.MessageRelation, readonly Converter[]>();
  readonly #local = new Map<number, FromText | undefined>(SCALARS);
  readonly #names = new Map<number, string>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** One for each column. A table that is altered is another relation. */
  async of(relation: Pgoutput.MessageRelation): Promise<readonly Converter[]> {
    const known = this.#converters.get(relation);
    if (known !== undefined) return known;
    await this.#look(relation.columns.map(({ typeOid }) => typeOid));
    const made = relation.columns.map(({ typeOid }) => this.#converter(typeOid));
    this.#converters.set(relation, made);
    return made;
  }

  #converter(oid: number): Converter {
    const local = this.#local.get(oid);
    if (local !== undefined) return local;
    const name = this.#names.get(oid);
    // A type that was dropped since has no form any more but its text.
    return name === undefined ? TEXT : (text) => this.#ask(text, name);
  }

  async #ask(text: string, type: string): Promise<Json> {
    const statement = `select to_json($1::text::${type}) as value`;
    const { rows } = await whileBusy(this.#client, () => this.#client.query<{ value: Json }>(statement, [text]));
    return rows[0]?.value ?? null;
  }

  /** Types that these are made of come first. */
  async #look(oids: readonly number[]): Promise<void> {
    const unknown = [...new Set(oids)].filter((oid) => oid !== 0 && !this.#local.has(oid));
    if (unknown.length === 0) return;
    const { rows } = await this.#client.query<TypeRow>(TYPES, [unknown]);
    await this.#look(rows.flatMap(({ base, element }) => [Number(base), Number(element)]));
    for (const row of rows) {
      this.#local.set(Number(row.oid), this.#localOf(row));
      this.#names.set(Number(row.oid), row.name);
    }
  }

  /** `undefined`: only the server can say. */
  #localOf({ type, base, element, delimiter, isServers }: TypeRow): FromText | undefined {
    if (type === "d") return this.#local.get(Number(base));
    if (isServers) return undefined;
    if (element === "0") return TEXT;
    const elements = this.#local.get(Number(element));
    return elements === undefined || delimiter !== "," ? undefined : arrayOf(elements);
  }
}
