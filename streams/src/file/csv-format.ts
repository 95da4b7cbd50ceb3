/**
 * CSV with a header line. A cell is read by what it is, not by its neighbours, so that a restart reads it the same: empty is
 * null; a JSON number that a double holds exactly enough is a number (`007` and 20-digit ids stay texts); `true` and `false`
 * are booleans; anything else, and anything quoted, is text. `types` overrides that per field.
 */
import { isUtf8 } from "node:buffer";
import { type Column, ColumnBatch, Dictionary, didYouMean, type Json, type TextKernels } from "@millrace/engine";
import { ColumnBuilder } from "./column-builder.ts";
import { type CsvCells, csvRecord } from "./csv-record.ts";
import { DICTIONARY_ENTRIES_MAX } from "./field-texts.ts";
import { KernelColumns } from "./kernel-columns.ts";
import type { LineScanner } from "./line-scanner.ts";
import {
  bounds,
  NOT_UTF8,
  type RecordBatch,
  type RecordFault,
  type RecordFormat,
  type RecordResult,
  type RecordRun,
} from "./record-format.ts";

export type CsvType = "text" | "number" | "boolean";

export interface CsvOptions {
  /** Default `,`. */
  readonly delimiter?: string;
  /** Fields whose cells are of one type; a cell that is not is rejected, and so is a header that lacks one of the fields. */
  readonly types?: Readonly<Record<string, CsvType>>;
}

/** Without kernels TypeScript reads all records. */
export function csvFormat(
  options: CsvOptions,
  lineBytesMax: number,
  kernels: TextKernels | undefined,
): RecordFormat<CsvBatch> {
  return new CsvFormat(options, lineBytesMax, kernels);
}

interface CsvBatch extends RecordBatch {
  add(values: readonly Json[]): void;
}

class CsvFormat implements RecordFormat<CsvBatch> {
  readonly #delimiter: string;
  readonly #types: ReadonlyMap<string, CsvType>;
  #names: readonly string[] = [];
  #fieldTypes: readonly (CsvType | undefined)[] = [];
  #dictionaries: (Dictionary | undefined)[] = [];
  readonly #recordBytesMax: number;
  readonly #kernels: TextKernels | undefined;
  #columns: KernelColumns | undefined;

  constructor({ delimiter = ",", types = {} }: CsvOptions, lineBytesMax: number, kernels: TextKernels | undefined) {
    this.#delimiter = delimiter;
    this.#types = new Map(Object.entries(types));
    this.#recordBytesMax = Math.min(lineBytesMax, OPEN_BYTES_MAX);
    this.#kernels = kernels;
  }

  /**
   * Names that are missing or twice there get a number; the header is rejected for it, its file is read all the same. So is one of another
   * delimiter, by what it looks like: there is one name then, and one text in each record.
   */
  begin(scanner: LineScanner, isEnd: boolean): RecordResult {
    const cells = this.#cells(scanner, isEnd);
    if (cells === "wait") return "wait";
    const given = "code" in cells ? [scanner.shown.toString("utf8")] : cells.texts.map((text) => text.trim());
    const names: string[] = [];
    for (const [i, name] of given.entries()) names.push(distinct(name === "" ? `column_${i + 1}` : name, names));
    this.#names = names;
    this.#fieldTypes = names.map((name) => this.#types.get(name));
    this.#dictionaries = names.map(() => new Dictionary());
    const kernel = this.#kernels?.csv(this.#delimiter, this.#fieldTypes, this.#recordBytesMax);
    if (kernel !== undefined) this.#columns = new KernelColumns(names, kernel);
    if ("code" in cells) return cells;
    const fixed = names.filter((name, i) => name !== given[i]);
    if (fixed.length > 0) return fault(`the header lacks or repeats names; they are read as ${fixed.join(", ")}`);
    const reason = this.#otherDelimiter(names) ?? this.#typeOfNothing(names);
    return reason === undefined ? "taken" : fault(reason);
  }

  #otherDelimiter([only = "", ...others]: readonly string[]): string | undefined {
    const delimiter = COMMON.find((other) => others.length === 0 && other !== this.#delimiter && only.includes(other));
    if (delimiter === undefined) return undefined;
    const [name, own, other] = [only, this.#delimiter, delimiter].map((text) => JSON.stringify(text));
    return `the header has one name, ${name}: what separates cells is ${own}; if it is ${other}, set \`delimiter\``;
  }

  #typeOfNothing(names: readonly string[]): string | undefined {
    for (const [name, type] of this.#types)
      if (!names.includes(name))
        return `the header has no ${JSON.stringify(name)}, whose cells are to be ${type}${didYouMean(name, names)}`;
    return undefined;
  }

  batch(): CsvBatch {
    return this.#columns?.begin() ?? new BuiltBatch(this.#names, this.#dictionaries);
  }

  addRun(scanner: LineScanner, batch: CsvBatch, recordsMax: number): RecordRun | undefined {
    return batch instanceof KernelColumns ? batch.addRun(scanner, recordsMax) : undefined;
  }

  /** A record of several lines that is none after all costs its first line only: the quote that opened it may be a stray one. */
  add(scanner: LineScanner, batch: CsvBatch, isEnd: boolean): RecordResult {
    const result = this.#add(scanner, batch, isEnd);
    if (typeof result === "object") scanner.shorten();
    return result;
  }

  #add(scanner: LineScanner, batch: CsvBatch, isEnd: boolean): RecordResult {
    const cells = this.#cells(scanner, isEnd);
    if (cells === "wait" || "code" in cells) return cells;
    const { texts, quoted } = cells;
    if (texts.length === 1 && texts[0] === "" && quoted === null) return "nothing";
    if (texts.length !== this.#names.length)
      return fault(
        `${texts.length} ${texts.length === 1 ? "cell" : "cells"}, but the header names ${this.#names.length}`,
      );
    const values = new Array<Json>(texts.length);
    for (let i = 0; i < texts.length; i++) {
      const value = jsonOf(texts[i] as string, quoted !== null && quoted[i] === 1, this.#fieldTypes[i]);
      if (value === undefined)
        return fault(`${JSON.stringify(texts[i])} is no ${this.#fieldTypes[i]}, as ${this.#names[i]} is`);
      values[i] = value;
    }
    batch.add(values);
    return "taken";
  }

  /** The cells of the record that begins with the current line. A quote that is never closed costs its own line only. */
  #cells(scanner: LineScanner, isEnd: boolean): CsvCells | RecordFault | "wait" {
    for (;;) {
      const { start, end } = bounds(scanner);
      if (!isUtf8(scanner.bytes.subarray(start, end))) return NOT_UTF8;
      const text = scanner.bytes.toString("utf8", start, end);
      if (text.includes("\0")) return fault("a NUL character");
      const record = csvRecord(text, this.#delimiter);
      if (record !== "open") return "fault" in record ? fault(record.fault) : record;
      if (this.#goesOn(scanner, isEnd)) continue;
      if (!isEnd && scanner.bytes.length - scanner.start <= OPEN_BYTES_MAX) {
        scanner.untake();
        return "wait";
      }
      return fault("a quote is opened and not closed");
    }
  }

  /** Adds the lines up to the next quote to a record that is open. */
  #goesOn(scanner: LineScanner, isEnd: boolean): boolean {
    const hasMore = scanner.extendTo(QUOTE) || (isEnd && scanner.extendToRest());
    return hasMore && scanner.end - scanner.start <= OPEN_BYTES_MAX;
  }
}

/** A quoted cell may hold lines, but not more than this in bytes: else one stray quote takes the rest of the file with it. */
const OPEN_BYTES_MAX = 1 << 17;
const QUOTE = 0x22;
/** Delimiters of files that others write, the likeliest first. */
const COMMON = [";", "\t", "|", ","];

class BuiltBatch implements CsvBatch {
  n = 0;
  readonly room: number = Number.POSITIVE_INFINITY;
  readonly #names: readonly string[];
  /** Shared with the next batches; `undefined` for a field whose texts hardly repeat. */
  readonly #dictionaries: (Dictionary | undefined)[];
  readonly #builders: readonly ColumnBuilder[];

  constructor(names: readonly string[], dictionaries: (Dictionary | undefined)[]) {
    this.#names = names;
    this.#dictionaries = dictionaries;
    this.#builders = names.map(() => new ColumnBuilder());
  }

  add(values: readonly Json[]): void {
    for (let i = 0; i < values.length; i++) this.#builders[i]?.add(values[i] as Json);
    this.n++;
  }

  build(): ColumnBatch {
    const columns = this.#names.map((name, i) => [name, this.#column(i)] as const);
    return new ColumnBatch(new Map(columns), null, this.n);
  }

  #column(i: number): Column {
    const dictionary = this.#dictionaries[i];
    const { column, isVaried } = (this.#builders[i] as ColumnBuilder).build(dictionary);
    if (isVaried) this.#dictionaries[i] = undefined;
    else if (dictionary !== undefined && dictionary.values.length > DICTIONARY_ENTRIES_MAX)
      this.#dictionaries[i] = new Dictionary();
    return column;
  }
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** `undefined` when the cell is not of its field's type. */
function jsonOf(text: string, isQuoted: boolean, type: CsvType | undefined): Json | undefined {
  if (text === "" && !isQuoted) return null;
  if (type === "text") return text;
  if (isQuoted && type === undefined) return text;
  if (type !== "number" && (text === "true" || text === "false")) return text === "true";
  if (type === "boolean") return undefined;
  const number = numberOf(text);
  return number ?? (type === "number" ? undefined : text);
}

/** An integer that a double cannot tell from its neighbours is an identifier, not a number. */
function numberOf(text: string): number | undefined {
  const first = text.charCodeAt(0);
  if ((first < 0x30 || first > 0x39) && first !== 0x2d) return undefined;
  if (!NUMBER.test(text)) return undefined;
  const number = Number(text);
  if (!Number.isFinite(number)) return undefined;
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? undefined : number;
}

function distinct(name: string, taken: readonly string[]): string {
  if (!taken.includes(name)) return name;
  for (let i = 2; ; i++) if (!taken.includes(`${name}_${i}`)) return `${name}_${i}`;
}

function fault(reason: string): RecordFault {
  return { code: "MSG-DECODE", reason };
}
