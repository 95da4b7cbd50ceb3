/** Reads pages of rows: by equality of fields, in the order of the key, from a cursor. */
import { fieldOf, isJsonObject, type Json, type JsonObject } from "@millrace/engine";
import { projectionError } from "./errors.ts";
import { AFTER_ROWS, FIRST_ROW, justAbove, keyFieldBytes, rangeOfPrefix } from "./row/key-codec.ts";
import { readRow, type Shapes } from "./row/row-codec.ts";

export interface PageQuery {
  /** Equality on fields, by value or by its text; all must hold. Leading fields of the key narrow what is read. */
  readonly where?: Readonly<Record<string, Json>>;
  /** Most rows, `1..1000`; default 100. A page of large rows has fewer, and a next one. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly cursor?: string;
  /** Order of the key; default `asc`. */
  readonly order?: "asc" | "desc";
}

export interface Page {
  readonly rows: readonly JsonObject[];
  /** Cursor of the next page; `null` on the last. A page may be short and still have a next one. */
  readonly next: string | null;
}

/** Rows in the order of their stored keys. */
export interface RowRange {
  range(
    gte: Uint8Array,
    lt: Uint8Array,
    reverse: boolean,
  ): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
}

const LIMIT = 100;
const LIMIT_MAX = 1000;
/** Rows looked at for one page: a condition on other fields than the key's must not stop everything else. */
const SCAN_MAX = 20_000;
/** Stored bytes of the rows of a page, which ends with the row that reaches this: large rows do not make a large page. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
/** Ways in which the leading fields may be meant, as text stands for a string or a number. */
const PREFIXES_MAX = 64;

/** @throws PROJECTION-QUERY the limit or the cursor is not one */
export function readPage(rows: RowRange, shapes: Shapes, key: readonly string[], query: PageQuery): Page {
  const { where = {}, limit = LIMIT, order = "asc" } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX) {
    throw projectionError("PROJECTION-QUERY", `limit is ${limit}; allowed are 1 to ${LIMIT_MAX}`);
  }
  const reverse = order === "desc";
  const cursor = query.cursor === undefined ? undefined : cursorKey(query.cursor);
  const found: JsonObject[] = [];
  let seen = 0;
  let bytes = 0;
  for (const { gte, lt } of rangesOf(prefixesOf(where, key), reverse, cursor)) {
    for (const entry of rows.range(gte, lt, reverse)) {
      seen += 1;
      const row = readRow(entry.value, shapes);
      if (matches(row, where)) {
        found.push(row);
        bytes += entry.value.length;
      }
      if (found.length === limit || seen === SCAN_MAX || bytes >= PAGE_BYTES_MAX)
        return { rows: found, next: Buffer.from(entry.key).toString("base64url") };
    }
  }
  return { rows: found, next: null };
}

interface Range {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

/** The parts of the table to read, in reading order, without what the cursor has passed. */
function rangesOf(prefixes: readonly Uint8Array[], reverse: boolean, cursor: Uint8Array | undefined): readonly Range[] {
  const whole: Range = { gte: FIRST_ROW, lt: AFTER_ROWS };
  const ranges = prefixes.map((prefix) => (prefix.length === 0 ? whole : rangeOfPrefix(prefix)));
  ranges.sort((a, b) => Buffer.compare(a.gte, b.gte));
  if (reverse) ranges.reverse();
  if (cursor === undefined) return ranges;
  const left = ranges.map(({ gte, lt }) =>
    reverse ? { gte, lt: least(lt, cursor) } : { gte: greatest(gte, justAbove(cursor)), lt },
  );
  return left.filter(({ gte, lt }) => Buffer.compare(gte, lt) < 0);
}

function prefixesOf(where: Readonly<Record<string, Json>>, key: readonly string[]): readonly Uint8Array[] {
  let prefixes: readonly Uint8Array[] = [new Uint8Array()];
  for (const field of key) {
    const wanted = fieldOf(where, field);
    if (wanted === undefined) break;
    const fields = meanings(wanted).map(keyFieldBytes);
    if (prefixes.length * fields.length > PREFIXES_MAX) break;
    prefixes = prefixes.flatMap((p) => fields.map((f) => Buffer.concat([p, f])));
  }
  return prefixes;
}

/** What a text from a query string may stand for. */
function meanings(wanted: Json): readonly Json[] {
  if (typeof wanted !== "string") return [wanted];
  const others: Json[] = [];
  const number = Number(wanted);
  if (wanted.trim() !== "" && Number.isFinite(number)) others.push(number);
  if (wanted === "true" || wanted === "false") others.push(wanted === "true");
  if (wanted === "null") others.push(null);
  return [wanted, ...others];
}

function matches(row: JsonObject, where: Readonly<Record<string, Json>>): boolean {
  for (const field in where) {
    const value = fieldOf(row, field);
    const wanted = where[field] as Json;
    if (value === undefined || !meanings(wanted).some((meant) => equals(value, meant))) return false;
  }
  return true;
}

function equals(value: Json, meant: Json): boolean {
  if (value === meant) return true;
  return (
    (isJsonObject(value) || Array.isArray(value)) &&
    JSON.stringify(value) === (typeof meant === "string" ? meant : JSON.stringify(meant))
  );
}

function cursorKey(cursor: string): Uint8Array {
  const key = Buffer.from(cursor, "base64url");
  if (key.length > 0 && key.toString("base64url") === cursor) return key;
  throw projectionError("PROJECTION-QUERY", "cursor is not one that a page gave");
}

const least = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) < 0 ? a : b);
const greatest = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) > 0 ? a : b);
