import type { Json, JsonObject } from "@millrace/engine";
import { opsError } from "../../errors.ts";
import { type Api, type ApiOptions, type Query, withApi } from "../api.ts";
import { guess } from "../known-names.ts";
import { counted, writeJson, writeLine, writeTable } from "../output.ts";
import { inert } from "../terminal-text.ts";

interface Listed {
  readonly projections: readonly {
    readonly name: string;
    readonly version: number;
    readonly state: string;
    readonly asOf: number;
    readonly lag: number;
    readonly reason?: string;
    readonly rows?: number;
    readonly key?: readonly string[];
  }[];
}

export async function listProjections(options: ApiOptions & { readonly json?: boolean }): Promise<void> {
  await withApi(options, async (api) => {
    const answer = await api.get("/api/v1/projections");
    if (options.json === true) return writeJson(answer);
    const { projections } = answer as unknown as Listed;
    const rows = projections.map((p) => [p.name, p.state, p.rows ?? 0, p.asOf, p.lag, p.key?.join(", ")]);
    writeTable(["projection", "state", "rows", "as of", "lag", "key"], rows);
    for (const { name, reason } of projections) if (reason !== undefined) writeLine(inert(`${name}: ${reason}`));
  });
}

export interface QueryOptions extends ApiOptions {
  readonly where?: readonly string[];
  readonly order: "asc" | "desc";
  readonly asOf?: number;
  readonly limit: number;
  readonly json?: boolean;
}

export async function queryProjection(name: string, options: QueryOptions): Promise<void> {
  const { where = [], order, asOf, limit, json = false } = options;
  const conditions = where.map(condition);
  const query = { ...Object.fromEntries(conditions.map(([field, value]) => [`where.${field}`, value])), order, asOf };
  await withApi(options, async (api) => {
    const answer = await foundRows(api, name, query, limit);
    if (json) return writeJson(answer as unknown as Json);
    const { rows, asOf: position, next } = answer;
    const head = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    writeTable(
      head,
      rows.map((row) => head.map((field) => cellOf(Object.hasOwn(row, field) ? row[field] : undefined))),
    );
    const more = next === null ? "" : "; there are more (--limit, --where)";
    writeLine(`${counted(rows.length, "row")} as of position ${position}${more}`);
    if (rows.length === 0) await warnOfFields(api, name, new Set(conditions.map(([field]) => field)), asOf);
  });
}

/** Rows may have different fields, so a field that none of the first rows has is probably, and not certainly, a wrong name. */
async function warnOfFields(api: Api, name: string, asked: ReadonlySet<string>, asOf?: number): Promise<void> {
  if (asked.size === 0) return;
  const { rows } = await foundRows(api, name, { asOf }, SAMPLE_ROWS);
  const known = new Set(rows.flatMap((row) => Object.keys(row)));
  const unknown = rows.length === 0 ? [] : [...asked].filter((field) => !known.has(field));
  for (const field of unknown)
    writeLine(inert(`no field ${field} in the first ${rows.length} rows${await guess(field, known)}`));
}

const SAMPLE_ROWS = 100;

interface Page {
  readonly asOf: number;
  readonly rows: readonly JsonObject[];
  readonly next: string | null;
}

/** A page ends where the server has looked at enough rows, though none of them passed: then the next one is asked for. */
async function foundRows(api: Api, name: string, query: Query, limit: number): Promise<Page> {
  const rows: JsonObject[] = [];
  for (let cursor: string | undefined; ; ) {
    const left = limit - rows.length;
    const answer = await api.get(`/api/v1/projections/${encodeURIComponent(name)}`, { ...query, limit: left, cursor });
    const { rows: more, next, asOf } = answer as unknown as Page;
    rows.push(...more);
    if (next === null || rows.length >= limit) return { asOf, rows, next };
    cursor = next;
  }
}

function condition(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw opsError("CLI-USAGE", `--where ${text}: expected field=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function cellOf(value: Json | undefined): string | number | boolean | null {
  if (value === undefined || value === null) return null;
  return typeof value === "object" ? JSON.stringify(value) : value;
}
