/** Tables of enrich nodes: read whole when the graph is compiled, and immutable from then on. */
import {
  fieldOf,
  isJsonObject,
  type Json,
  type JsonObject,
  messageOf,
  type Place,
  type SourceConnector,
} from "@millrace/engine";
import { opsError } from "../errors.ts";

const READ_MAX = 4096;
/** A table is held in memory. */
const ROWS_MAX = 5_000_000;

/**
 * A number finds the row of its text and a text that of its number, where there is no row of the key itself: in a CSV file the codes `01` and
 * `10` are a text and a number, in the table of codes both are texts.
 */
class TableRows extends Map<Json, Json> {
  override get(key: Json): Json | undefined {
    return super.get(key) ?? super.get(otherwise(key));
  }

  override has(key: Json): boolean {
    return super.has(key) || super.has(otherwise(key));
  }

  hasItself(key: Json): boolean {
    return super.has(key);
  }
}

function otherwise(key: Json): Json {
  if (typeof key === "number") return String(key);
  return typeof key === "string" && isNumber(key) ? Number(key) : key;
}

/**
 * Rows by the value of the column `on`. Where keys came as text (CSV is read so) and all of them are numbers, they are numbers:
 * a column of codes such as `0E8` stays text as a whole; so does one whose type the graph says.
 *
 * @throws HOST-TABLE the file is unreadable, has a bad row, lacks the column, or has a key twice
 */
export async function loadTable(
  connector: SourceConnector,
  on: string,
  place: Place,
  isTyped = false,
): Promise<ReadonlyMap<Json, Json>> {
  const rows: JsonObject[] = [];
  for await (const row of rowsOf(connector, place)) {
    if (!isJsonObject(row) || fieldOf(row, on) === undefined) throw tableError(`a row has no column \`${on}\``, place);
    if (row[on] === null) continue;
    if (rows.push(row) > ROWS_MAX) throw tableError(`the table has more than ${ROWS_MAX} rows`, place);
  }
  const areNumbers = !isTyped && rows.every((row) => typeof row[on] === "string" && isNumber(row[on]));
  const table = new TableRows();
  for (const row of rows) {
    const key = areNumbers ? Number(row[on]) : (row[on] as Json);
    if (table.hasItself(key)) throw tableError(`\`${on}\` = ${JSON.stringify(key)} is there twice`, place);
    table.set(key, areNumbers ? { ...row, [on]: key } : row);
  }
  return table;
}

function isNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) && String(Number(text)) === text;
}

async function* rowsOf(connector: SourceConnector, place: Place): AsyncGenerator<Json> {
  try {
    for (const partition of await connector.partitions()) {
      const reader = await connector.open(partition, -1);
      try {
        for (let read = await reader.read(READ_MAX); read !== "end"; read = await reader.read(READ_MAX)) {
          if (read === "idle") continue;
          const [rejected] = read.rejected;
          if (rejected !== undefined) throw rejected.error;
          yield* read.batch.rows();
        }
      } finally {
        await reader.close();
      }
    }
  } catch (cause) {
    throw tableError(messageOf(cause), place, cause);
  }
}

function tableError(message: string, place: Place, cause?: unknown): Error {
  return opsError("HOST-TABLE", message, { place, ...(cause === undefined ? {} : { cause }) });
}
