/** What DuckDB says against a query, with the place in its text. */
import { isJsonObject, type Json, MillraceError, messageOf } from "@millrace/engine";
import { opsError } from "../errors.ts";

/** An error as DuckDB writes it when `errors_as_json` is set. */
interface DuckDbError {
  readonly exception_type: string;
  readonly exception_message: string;
  /** Bytes of the query before the place, as text. */
  readonly position?: string | undefined;
  readonly error_subtype?: string;
  /** What a missing entry is, and its name. */
  readonly type?: string;
  readonly name?: string;
}

/**
 * SQL-REFUSED where the query wants more than to read the log's tables, SQL-MEMORY where it wants more memory, else SQL-QUERY. Our own errors pass through.
 *
 * @param tables names to suggest where a table is missing
 */
export function queryError(query: string, thrown: unknown, tables: readonly string[] = []): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const error = isDuckDbError(thrown) ? thrown : parsed(messageOf(thrown));
  const text = error?.exception_message ?? messageOf(thrown);
  if (error?.exception_type === "Out of Memory" || IS_OF_MEMORY.test(text)) return outOfMemory(text);
  if (error === undefined) return opsError("SQL-QUERY", text, { cause: thrown });
  const { exception_type, exception_message, position } = error;
  const place = { file: "query", ...placeIn(query, position) };
  if (exception_type === "Permission") return opsError("SQL-REFUSED", exception_message, { place });
  if (error.error_subtype === "MISSING_ENTRY" && error.type === "Table")
    return opsError("SQL-QUERY", `there is no table ${error.name}; there are ${tables.join(", ")}`, { place });
  return opsError("SQL-QUERY", `${exception_type}: ${exception_message}`, { place });
}

/** What comes with it: settings, none of which can be changed here. */
const IS_OF_MEMORY = /\n\s*Possible solutions:\n/;

/** The advice of DuckDB is left out. */
function outOfMemory(text: string): MillraceError {
  const [what = text] = text.split("\n");
  return opsError("SQL-MEMORY", `it takes more memory than a query is given: ${what}`);
}

/** @returns what a statement gets that is not one SELECT */
export function refusal(): MillraceError {
  return opsError(
    "SQL-REFUSED",
    "the log can only be read: exactly one SELECT, DESCRIBE, SUMMARIZE or SHOW is expected",
  );
}

function isDuckDbError(value: unknown): value is DuckDbError {
  return typeof value === "object" && value !== null && "exception_type" in value && "exception_message" in value;
}

function parsed(message: string): DuckDbError | undefined {
  const start = message.indexOf("{");
  if (start < 0) return undefined;
  try {
    const value = JSON.parse(message.slice(start)) as Json;
    return isJsonObject(value) && isDuckDbError(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Line and column count from 1; columns are characters. */
function placeIn(query: string, position: string | undefined): { line?: number; column?: number } {
  if (position === undefined) return {};
  const before = Buffer.from(query).subarray(0, Number(position)).toString();
  const lines = before.split("\n");
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}
