import type { Json, JsonObject } from "@millrace/engine";
import { fieldOf } from "@millrace/engine/worker";
import { opsError } from "../../errors.ts";
import { type Api, type ApiOptions, type Query, withApi } from "../api.ts";
import { refuse } from "../known-names.ts";
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
    readonly fields?: readonly string[];
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
  /** A position, exclusive, or a time. */
  readonly asOf?: string;
  readonly limit: number;
  readonly json?: boolean;
}

export async function queryProjection(name: string, options: QueryOptions): Promise<void> {
  const { where = [], order, asOf, limit, json = false } = options;
  const conditions = where.map(condition);
  const twice = conditions.find(([field], i) => conditions.findIndex(([other]) => other === field) !== i);
  if (twice !== undefined) throw opsError("CLI-USAGE", `--where ${twice[0]}: a field can be equal to one value only`);
  const query = { ...Object.fromEntries(conditions.map(([field, value]) => [`where.${field}`, value])), order, asOf };
  await withApi(options, async (api) => {
    const answer = await foundRows(api, name, query, limit);
    if (answer.rows.length === 0) await refuseUnknownFields(api, name, conditions);
    if (json) return writeJson(answer as unknown as Json);
    const { rows, asOf: position, next } = answer;
    const head = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    writeTable(
      head,
      rows.map((row) => head.map((field) => cellOf(fieldOf(row, field)))),
    );
    const more = next === null ? "" : "; there are more (--limit, --where)";
    writeLine(`${counted(rows.length, "row")} as of position ${position}${more}`);
  });
}

/** Where no row ever was, nobody can say what its fields would be called. @throws CLI-UNKNOWN */
async function refuseUnknownFields(
  api: Api,
  name: string,
  conditions: readonly (readonly [string, string])[],
): Promise<void> {
  if (conditions.length === 0) return;
  const { projections } = (await api.get("/api/v1/projections")) as unknown as Listed;
  const known = new Set(projections.find((one) => one.name === name)?.fields ?? []);
  if (known.size === 0) return;
  for (const [field] of conditions) await refuse(`projection ${name} has no field`, field, known);
}

interface Page {
  readonly asOf: number;
  readonly rows: readonly JsonObject[];
  readonly next: string | null;
}

/**
 * A page ends where the server has looked at enough rows, though none of them passed: then the next one is asked for, of the same
 * position, which a time need not stay while the log grows.
 */
async function foundRows(api: Api, name: string, query: Query, limit: number): Promise<Page> {
  const rows: JsonObject[] = [];
  let { asOf: moment } = query;
  for (let cursor: string | undefined; ; ) {
    const asked = { ...query, asOf: moment, limit: limit - rows.length, cursor };
    const answer = await api.get(`/api/v1/projections/${encodeURIComponent(name)}`, asked);
    const { rows: more, next, asOf } = answer as unknown as Page;
    rows.push(...more);
    if (next === null || rows.length >= limit) return { asOf, rows, next };
    cursor = next;
    if (moment !== undefined) moment = asOf;
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
