/**
 * Batches of columns that a kernel fills, record by record where it does not. The columns are those that {@link ColumnBuilder}
 * makes of the same cells.
 */
import {
  CELL,
  type CellTable,
  type Column,
  ColumnBatch,
  FRESH_WORDS,
  type Json,
  type RecordKernel,
} from "@millrace/engine";
import { FRESH_ENTRIES_MIN } from "./column-builder.ts";
import { FieldTexts } from "./field-texts.ts";
import type { LineScanner } from "./line-scanner.ts";
import type { RecordBatch, RecordRun } from "./record-format.ts";
import { TextChunks } from "./text-chunks.ts";

const CAPACITY_MIN = 256;
const CAPACITY_MAX = 4096;
const CAPACITY_GROWTH = 4;
/** A run of fewer records, ended by one that the kernel does not take, was not worth the call. */
const RUN_RECORDS_MIN = 4;
/** Then so many records are read without it. */
const PAUSE_RECORDS = 32;

const NUMBERS = 1 << CELL.number;
const BOOLEANS = 1 << CELL.boolean;
const JSONS = (1 << CELL.json) | (1 << CELL.wideJson);
const TEXTS = (1 << CELL.known) | (1 << CELL.text) | (1 << CELL.wideText);
const WIDE = (1 << CELL.wideText) | (1 << CELL.wideJson);
/** Cells that the table only says the place of. */
const PLACED = (1 << CELL.text) | (1 << CELL.json) | WIDE;
const NULLS = 1 << CELL.null;

/** One batch at a time: {@link begin} starts the next when the one before has been built, or is not needed. */
export class KernelColumns implements RecordBatch {
  readonly names: readonly string[];
  n = 0;
  readonly #kernel: RecordKernel;
  readonly #texts: readonly FieldTexts[];
  /** By field and row, cells that the table only says the kind of: texts and JSON. */
  #values: Json[][] = [];
  #table: CellTable;
  #pause = 0;
  /** Where in the file the record begins that the kernel did not take. */
  #refusedAt = -1;

  constructor(names: readonly string[], kernel: RecordKernel) {
    this.names = names;
    this.#kernel = kernel;
    this.#texts = names.map((_, field) => new FieldTexts(kernel, field));
    this.#table = cellTable(names.length, CAPACITY_MIN);
  }

  get room(): number {
    return this.#table.capacity - this.n;
  }

  begin(): this {
    const { capacity } = this.#table;
    if (this.room === 0 && capacity < CAPACITY_MAX)
      this.#table = cellTable(this.names.length, CAPACITY_GROWTH * capacity);
    this.#table.seen.fill(0);
    this.#values = this.names.map(() => []);
    this.n = 0;
    return this;
  }

  add(values: readonly Json[]): void {
    const { capacity, kinds, numbers, words, seen } = this.#table;
    for (let field = 0; field < values.length; field++) {
      const value = values[field] as Json;
      const at = field * capacity + this.n;
      const kind = kindOf(value);
      kinds[at] = kind;
      seen[field] = (seen[field] as number) | (1 << kind);
      if (kind === CELL.text || kind === CELL.json) (this.#values[field] as Json[])[this.n] = value;
      else if (kind === CELL.boolean) words[2 * at] = value === true ? 1 : 0;
      else numbers[at] = (value ?? 0) as number;
    }
    this.n++;
  }

  addRun(scanner: LineScanner, recordsMax: number): RecordRun | undefined {
    const { bytes, untaken } = scanner;
    if (untaken < 0 || scanner.offsetOf(untaken) === this.#refusedAt || this.#pause-- > 0) return undefined;
    const table = this.#tableFor(bytes.length - untaken);
    const row = this.n;
    this.#kernel.read(bytes, untaken, table, row, Math.min(row + recordsMax, table.capacity));
    const [rows, next, fresh, isRefused] = table.run as unknown as [number, number, number, number];
    this.#refusedAt = isRefused === 1 ? scanner.offsetOf(next) : -1;
    this.#pause = isRefused === 1 && rows < RUN_RECORDS_MIN ? PAUSE_RECORDS : 0;
    this.n = row + rows;
    this.#takeTexts(row, fresh);
    return next === untaken ? undefined : { ends: table.ends.subarray(row, this.n), next };
  }

  build(): ColumnBatch {
    const columns = this.names.map((name, field) => [name, this.#column(field)] as const);
    for (const texts of this.#texts) texts.renew();
    return new ColumnBatch(new Map(columns), null, this.n);
  }

  /** A table whose texts have room for those of so many bytes. */
  #tableFor(bytes: number): CellTable {
    const { latin } = this.#table;
    if (latin.length < bytes)
      this.#table = { ...this.#table, latin: Buffer.allocUnsafeSlow(bytes), wide: new Uint16Array(bytes) };
    return this.#table;
  }

  /** Texts of the last run, before the next takes their place. */
  #takeTexts(from: number, count: number): void {
    const { fresh, seen } = this.#table;
    const latin = new TextChunks(this.#table.latin);
    const wide = new TextChunks(this.#table.wide);
    for (let at = 0; at < count * FRESH_WORDS; at += FRESH_WORDS) {
      const chunks = fresh[at + 3] === 1 ? wide : latin;
      // Remembered for long, so not cut from a larger string.
      this.#texts[fresh[at] as number]?.learn(chunks.own(fresh[at + 1] as number, fresh[at + 2] as number));
    }
    for (let field = 0; field < seen.length; field++)
      if (((seen[field] as number) & PLACED) !== 0) this.#takePlaced(field, from, latin, wide);
  }

  #takePlaced(field: number, from: number, latin: TextChunks, wide: TextChunks): void {
    const { capacity, kinds, words } = this.#table;
    const values = this.#values[field] as Json[];
    for (let row = from, at = field * capacity + from; row < this.n; row++, at++) {
      const kind = 1 << (kinds[at] as number);
      if ((kind & PLACED) === 0) continue;
      const chunks = (kind & WIDE) === 0 ? latin : wide;
      const text = chunks.cut(words[2 * at] as number, words[2 * at + 1] as number);
      values[row] = (kind & JSONS) === 0 ? text : (JSON.parse(text) as Json);
    }
  }

  #column(field: number): Column {
    const { capacity, numbers, words, seen } = this.#table;
    const start = field * capacity;
    const typed = (seen[field] as number) & ~NULLS;
    if (typed === NUMBERS)
      return { type: "number", values: numbers.slice(start, start + this.n), nulls: this.#nulls(field) };
    if (typed === BOOLEANS) {
      const values = new Uint8Array(this.n);
      for (let row = 0; row < this.n; row++) values[row] = words[2 * (start + row)] as number;
      return { type: "boolean", values, nulls: this.#nulls(field) };
    }
    const isText = typed !== 0 && (typed & ~TEXTS) === 0;
    return (isText ? this.#dictionaryColumn(field) : undefined) ?? { type: "json", values: this.#cells(field) };
  }

  /** `undefined` when the texts hardly repeat. */
  #dictionaryColumn(field: number): Column | undefined {
    const texts = this.#texts[field] as FieldTexts;
    const { dictionary } = texts;
    if (dictionary === undefined) return undefined;
    const { capacity, kinds, words } = this.#table;
    const values = this.#values[field] as readonly string[];
    const codes = new Uint32Array(this.n);
    const most = dictionary.values.length + Math.max(this.n / 2, FRESH_ENTRIES_MIN);
    for (let row = 0, at = field * capacity; row < codes.length; row++, at++) {
      if (kinds[at] === CELL.known) codes[row] = texts.code(words[2 * at] as number, dictionary);
      else if (kinds[at] !== CELL.null) codes[row] = dictionary.code(values[row] as string);
      if (dictionary.values.length <= most) continue;
      const column: Column = { type: "json", values: this.#cells(field) };
      texts.giveUp();
      return column;
    }
    return { type: "dictionary", codes, dictionary, nulls: this.#nulls(field) };
  }

  #cells(field: number): Json[] {
    const { capacity, kinds, numbers, words } = this.#table;
    const { known } = this.#texts[field] as FieldTexts;
    const values = this.#values[field] as readonly Json[];
    const cells = new Array<Json>(this.n);
    for (let row = 0, at = field * capacity; row < cells.length; row++, at++) {
      const kind = kinds[at] as number;
      if (kind === CELL.null) cells[row] = null;
      else if (kind === CELL.number) cells[row] = numbers[at] as number;
      else if (kind === CELL.boolean) cells[row] = words[2 * at] === 1;
      else cells[row] = (kind === CELL.known ? known[words[2 * at] as number] : values[row]) as Json;
    }
    return cells;
  }

  #nulls(field: number): Uint8Array | null {
    const { capacity, kinds, seen } = this.#table;
    if (((seen[field] as number) & NULLS) === 0) return null;
    const start = field * capacity;
    return kinds.subarray(start, start + this.n).map((kind) => (kind === CELL.null ? 1 : 0));
  }
}

function kindOf(value: Json): number {
  if (value === null) return CELL.null;
  if (typeof value === "number") return CELL.number;
  if (typeof value === "boolean") return CELL.boolean;
  return typeof value === "string" ? CELL.text : CELL.json;
}

function cellTable(fields: number, capacity: number): CellTable {
  const slots = new ArrayBuffer(8 * fields * capacity);
  return {
    capacity,
    kinds: new Uint8Array(fields * capacity),
    numbers: new Float64Array(slots),
    words: new Uint32Array(slots),
    bits: new BigUint64Array(slots),
    ends: new Uint32Array(capacity),
    fresh: new Uint32Array(FRESH_WORDS * Math.max(fields, capacity)),
    seen: new Uint8Array(fields),
    latin: new Uint8Array(0),
    wide: new Uint16Array(0),
    run: new Uint32Array(4),
  };
}
