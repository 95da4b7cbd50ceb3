import type { Json, JsonObject } from "@millrace/engine";
import { opsError } from "../../errors.ts";
import { type ApiOptions, withApi } from "../api.ts";
import { counted, writeJson, writeLine, writeTable } from "../output.ts";

interface Listed {
  readonly projections: readonly {
    readonly name: string;
    readonly version: number;
    readonly state: string;
    readonly asOf: number;
    readonly lag: number;
    readonly rows?: number;
    readonly key?: readonly string[];
  }[];
}

export async function listProjections(options: ApiOptions & { readonly json?: boolean }): Promise<void> {
  await withApi(options, async (api) => {
    const answer = await api.get("/api/v1/projections");
    if (options.json === true) return writeJson(answer);
    const rows = (answer as unknown as Listed).projections.map((p) => [
      p.name,
      p.state,
      p.rows ?? 0,
      p.asOf,
      p.lag,
      p.key?.join(", "),
    ]);
    writeTable(["projection", "state", "rows", "as of", "lag", "key"], rows);
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
  const query = { ...Object.fromEntries(where.map(condition)), order, limit, asOf };
  await withApi(options, async (api) => {
    const answer = await api.get(`/api/v1/projections/${encodeURIComponent(name)}`, query);
    if (json) return writeJson(answer);
    const {
      rows,
      asOf: position,
      next,
    } = answer as unknown as { rows: readonly JsonObject[]; asOf: number; next: string | null };
    const head = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    writeTable(
      head,
      rows.map((row) => head.map((field) => cellOf(row[field]))),
    );
    writeLine(
      `${counted(rows.length, "row")} as of position ${position}${next === null ? "" : "; there are more (--limit, --where)"}`,
    );
  });
}

function condition(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw opsError("CLI-USAGE", `--where ${text}: expected field=value`);
  return [`where.${text.slice(0, at)}`, text.slice(at + 1)];
}

function cellOf(value: Json | undefined): string | number | boolean | null {
  if (value === undefined || value === null) return null;
  return typeof value === "object" ? JSON.stringify(value) : value;
}
