/**
 * Writes the cells of one column, of rows or of keys. What a dictionary entry or a time looks like in bytes is made once per
 * batch and copied after that.
 */
import { type Column, cell, type DictionaryColumn, isoTime, type Json, type TimeColumn } from "@millrace/engine";
import { Bytes } from "./bytes.ts";
import { writeNumber } from "./row-codec.ts";

/** Appends the cell at a physical index. */
export type CellWriter = (at: number, out: Bytes) => void;

/** Appends one value: a row's cell or a key's field. */
export type ValueWriter = (value: Json, out: Bytes) => void;

const scratch = new Bytes();

export function columnWriter(column: Column, write: ValueWriter, numbersAsCells: boolean): CellWriter {
  if (column.type === "json") return (at, out) => write(column.values[at] ?? null, out);
  const writer = withoutNulls(column, write, numbersAsCells);
  const { nulls } = column;
  return nulls === null ? writer : (at, out) => (nulls[at] === 1 ? write(null, out) : writer(at, out));
}

function withoutNulls(column: Exclude<Column, { type: "json" }>, write: ValueWriter, asCells: boolean): CellWriter {
  switch (column.type) {
    case "dictionary":
      return dictionaryWriter(column, write);
    case "time":
      return timeWriter(column, write);
    case "number": {
      const { values } = column;
      return asCells
        ? (at, out) => writeNumber(values[at] as number, out)
        : (at, out) => write(values[at] as number, out);
    }
    default:
      return (at, out) => write(cell(column, at), out);
  }
}

function dictionaryWriter({ codes, dictionary }: DictionaryColumn, write: ValueWriter): CellWriter {
  const made: Uint8Array[] = [];
  return (at, out) => {
    const code = codes[at] as number;
    let bytes = made[code];
    if (bytes === undefined) {
      write(dictionary.values[code] ?? null, scratch.reset());
      bytes = scratch.kept();
      made[code] = bytes;
    }
    out.copy(bytes);
  };
}

/** Neighbouring rows mostly have the same time. */
function timeWriter({ values }: TimeColumn, write: ValueWriter): CellWriter {
  let last = Number.NaN;
  let bytes: Uint8Array = new Uint8Array();
  return (at, out) => {
    const ms = values[at] as number;
    if (ms !== last) {
      write(isoTime(ms), scratch.reset());
      bytes = scratch.kept();
      last = ms;
    }
    out.copy(bytes);
  };
}
