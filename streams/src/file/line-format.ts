/** Messages as lines of text: NDJSON or CSV. */
import { type Batch, ColumnBatch, cell, fieldOf, isJsonObject, isoTime, type Json } from "@millrace/engine";

export interface LineFormat {
  /** Text in front of the first line of a file, given the first batch ever; empty for none. */
  header(first: Batch): string;
  /** The batch's messages, each with its line end. */
  lines(batch: Batch): string;
}

/** One JSON value per line. */
export function ndjsonLines(): LineFormat {
  return {
    header: () => "",
    lines: (batch) => (batch instanceof ColumnBatch ? columnLines(batch) : rowLines(batch.rows())),
  };
}

function rowLines(rows: readonly Json[]): string {
  let text = "";
  for (const row of rows) text += `${JSON.stringify(row)}\n`;
  return text;
}

/** The same text as of rows, without making them: 1.6 times as fast for a window's rows. */
function columnLines(batch: ColumnBatch): string {
  const columns = [...batch.columns].map(([name, column], i) => ({
    before: `${i === 0 ? "{" : ","}${JSON.stringify(name)}:`,
    write: textOf(column),
  }));
  if (columns.length === 0) return "{}\n".repeat(batch.n);
  let text = "";
  for (let i = 0; i < batch.n; i++) {
    const at = batch.at(i);
    for (const { before, write } of columns) text += before + write(at);
    text += "}\n";
  }
  return text;
}

type Column = Parameters<typeof cell>[0];

function textOf(column: Column): (at: number) => string {
  if (column.type === "dictionary") {
    const known: (string | undefined)[] = [];
    const { codes, dictionary, nulls } = column;
    return (at) => {
      if (nulls?.[at] === 1) return "null";
      const code = codes[at] as number;
      known[code] ??= JSON.stringify(dictionary.values[code] ?? null);
      return known[code];
    };
  }
  if (column.type === "time") return timeText(column.values, column.nulls);
  if (column.type === "number" && column.nulls === null) {
    const { values } = column;
    return (at) => {
      const value = values[at] as number;
      // As JSON says it: -0 is 0, and what is no number is null.
      return value - value === 0 ? String(value) : "null";
    };
  }
  return (at) => JSON.stringify(cell(column, at)) ?? "null";
}

function timeText(values: Float64Array, nulls: Uint8Array | null): (at: number) => string {
  let last = Number.NaN;
  let text = "null";
  return (at) => {
    if (nulls?.[at] === 1) return "null";
    const ms = values[at] as number;
    if (ms !== last) {
      last = ms;
      text = JSON.stringify(isoTime(ms));
    }
    return text;
  };
}

/**
 * RFC 4180 with `\n` line ends. The columns are those of the first message ever written; fields that a message lacks are
 * empty, and fields that are new are left out. Texts are quoted where they must be; objects and arrays are written as JSON.
 */
export function csvLines(header: readonly string[] | undefined, delimiter = ","): LineFormat {
  let names = header;
  return {
    header(first) {
      names = namesOf(first);
      return csvLine(names, delimiter);
    },
    lines(batch) {
      names ??= namesOf(batch);
      let text = "";
      for (const row of batch.rows())
        text += csvLine(
          names.map((name) => cellOf(row, name)),
          delimiter,
        );
      return text;
    },
  };
}

function cellOf(row: Json, name: string): Json | undefined {
  if (isJsonObject(row)) return fieldOf(row, name);
  return name === "value" ? row : undefined;
}

/** A message that is no object has one column, `value`. */
function namesOf(batch: Batch): readonly string[] {
  const first = batch.row(0);
  return isJsonObject(first) ? Object.keys(first) : ["value"];
}

function csvLine(values: readonly (Json | undefined)[], delimiter: string): string {
  let line = "";
  for (let i = 0; i < values.length; i++) line += (i === 0 ? "" : delimiter) + csvCell(values[i], delimiter);
  return `${line}\n`;
}

function csvCell(value: Json | undefined, delimiter: string): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /["\r\n]/.test(text) || text.includes(delimiter) || text === "" ? `"${text.replaceAll('"', '""')}"` : text;
}
