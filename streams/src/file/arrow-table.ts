/**
 * The messages of a column frame as an Arrow table, for whatever reads Arrow. Numbers and the codes of repeated texts are the frame's
 * own arrays, not copies; what Arrow lays out in another way (times and booleans, texts that do not repeat, which cells are null) is
 * written once. Who writes into the table writes into the frame.
 */
import type { BooleanColumn, Column, ColumnBatch, Dictionary, DictionaryColumn, Json } from "@millrace/engine";
import type {
  Data as ArrowData,
  Field as ArrowField,
  Table as ArrowTable,
  Utf8 as ArrowUtf8,
  DataType,
} from "apache-arrow";

type Arrow = typeof import("apache-arrow");

/** Of a field whose texts are JSON, because some of its cells are no texts. */
const AS_JSON = new Map([["format", "json"]]);

/** Which cells of a column are meant, in order: those of a selection, or the first. */
interface Cells {
  readonly selection: Uint32Array | null;
  readonly n: number;
}

interface Texts {
  readonly data: ArrowData<ArrowUtf8>;
  readonly asJson: boolean;
}

/**
 * Texts become Utf8, repeated ones a dictionary of it, numbers Float64 or Int32, times Timestamp in milliseconds. A field that holds
 * anything else is Utf8 of its cells as JSON, with `format: json` in its metadata.
 */
export async function arrowTable({ columns, selection, n }: ColumnBatch): Promise<ArrowTable> {
  // Loading the library takes 50 ms, which only those who want a table should pay.
  const arrow = await import("apache-arrow");
  const fields: ArrowField[] = [];
  const children: ArrowData[] = [];
  for (const [name, column] of columns) {
    const { data, asJson } = dataOf(arrow, column, { selection, n });
    fields.push(new arrow.Field(name, data.type, true, asJson ? AS_JSON : undefined));
    children.push(data);
  }
  const data = arrow.makeData({ type: new arrow.Struct(fields), length: n, nullCount: 0, children });
  return new arrow.Table(new arrow.RecordBatch(new arrow.Schema(fields), data));
}

function dataOf(
  arrow: Arrow,
  column: Column,
  cells: Cells,
): { readonly data: ArrowData<DataType>; readonly asJson: boolean } {
  switch (column.type) {
    case "number": {
      const data = chosen(column.values, cells);
      const type = data instanceof Int32Array ? new arrow.Int32() : new arrow.Float64();
      return { data: arrow.makeData({ type, data, ...validity(column.nulls, cells) } as never), asJson: false };
    }
    case "time":
      return { data: times(arrow, chosen(column.values, cells), chosenNulls(column.nulls, cells)), asJson: false };
    case "boolean":
      return { data: booleans(arrow, column, cells), asJson: false };
    case "dictionary":
      return coded(arrow, column, cells);
    case "json":
      return texts(arrow, chosenValues(column.values, cells));
  }
}

function chosen<T extends Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array>(
  values: T,
  { selection, n }: Cells,
): T {
  if (selection === null) return (values.length === n ? values : values.subarray(0, n)) as T;
  const picked = new (values.constructor as new (length: number) => T)(n);
  for (let i = 0; i < n; i++) picked[i] = values[selection[i] as number] as number;
  return picked;
}

function chosenValues(values: readonly Json[], { selection, n }: Cells): readonly Json[] {
  if (selection === null) return values.length === n ? values : values.slice(0, n);
  return Array.from({ length: n }, (_, i) => values[selection[i] as number] ?? null);
}

const chosenNulls = (nulls: Uint8Array | null, cells: Cells): Uint8Array | null =>
  nulls === null ? null : chosen(nulls, cells);

interface Validity {
  readonly length: number;
  readonly nullCount: number;
  /** A bit for each cell that is there. Absent: all are. */
  readonly nullBitmap?: Uint8Array;
}

function validity(nulls: Uint8Array | null, cells: Cells): Validity {
  return validOf(chosenNulls(nulls, cells), cells.n);
}

function validOf(nulls: Uint8Array | null, length: number): Validity {
  if (nulls === null) return { length, nullCount: 0 };
  const nullBitmap = new Uint8Array((length + 7) >> 3);
  let nullCount = 0;
  for (let i = 0; i < length; i++) {
    if (nulls[i] === 1) nullCount++;
    else setBit(nullBitmap, i);
  }
  return nullCount === 0 ? { length, nullCount } : { length, nullCount, nullBitmap };
}

function setBit(bitmap: Uint8Array, i: number): void {
  bitmap[i >> 3] = (bitmap[i >> 3] as number) | (1 << (i & 7));
}

/** Arrow counts times in whole numbers. One that no date can say is null, as it is in a row. */
function times(arrow: Arrow, values: Float64Array, nulls: Uint8Array | null): ArrowData<DataType> {
  const data = new BigInt64Array(values.length);
  const absent = nulls === null ? new Uint8Array(values.length) : Uint8Array.from(nulls);
  for (let i = 0; i < data.length; i++) {
    const ms = absent[i] === 1 ? Number.NaN : new Date(values[i] as number).getTime();
    if (Number.isNaN(ms)) absent[i] = 1;
    else data[i] = BigInt(ms);
  }
  return arrow.makeData({ type: new arrow.TimestampMillisecond(), data, ...validOf(absent, data.length) });
}

function booleans(arrow: Arrow, { values, nulls }: BooleanColumn, cells: Cells): ArrowData<DataType> {
  const bytes = chosen(values, cells);
  const data = new Uint8Array((cells.n + 7) >> 3);
  for (let i = 0; i < cells.n; i++) if (bytes[i] === 1) setBit(data, i);
  return arrow.makeData({ type: new arrow.Bool(), data, ...validity(nulls, cells) });
}

/** Dictionaries grow and are shared by the frames of a source: what was written of one serves until it has grown. */
const written = new WeakMap<Dictionary, Texts>();

function coded(
  arrow: Arrow,
  { codes, dictionary, nulls }: DictionaryColumn,
  cells: Cells,
): { readonly data: ArrowData<DataType>; readonly asJson: boolean } {
  let entries = written.get(dictionary);
  if (entries === undefined || entries.data.length < dictionary.values.length) {
    entries = texts(arrow, dictionary.values);
    written.set(dictionary, entries);
  }
  const data = chosen(codes, cells);
  const type = new arrow.Dictionary(
    new arrow.Utf8(),
    data instanceof Uint16Array ? new arrow.Uint16() : new arrow.Uint32(),
  );
  const of = { type, data, dictionary: arrow.makeVector(entries.data), ...validity(nulls, cells) };
  return { data: arrow.makeData(of as never), asJson: entries.asJson };
}

function texts(arrow: Arrow, values: readonly Json[]): Texts {
  const asJson = values.some((value) => value !== null && typeof value !== "string");
  const said = values.map((value) => (value === null ? "" : asJson ? JSON.stringify(value) : (value as string)));
  const nulls = Uint8Array.from(values.map((value) => (value === null ? 1 : 0)));
  const { bytes, valueOffsets } = utf8(said);
  const of = { type: new arrow.Utf8(), data: bytes, valueOffsets, ...validOf(nulls, values.length) };
  return { data: arrow.makeData(of), asJson };
}

function utf8(said: readonly string[]): { readonly bytes: Uint8Array; readonly valueOffsets: Int32Array } {
  const valueOffsets = new Int32Array(said.length + 1);
  const joined = said.join("");
  const bytes = Buffer.from(joined);
  // As many bytes as UTF-16 units: all are of one byte. Otherwise halves of a pair at a border would have become one.
  const isAscii = bytes.length === joined.length;
  let end = 0;
  for (let i = 0; i < said.length; i++) {
    const text = said[i] as string;
    end += isAscii ? text.length : Buffer.byteLength(text);
    valueOffsets[i + 1] = end;
  }
  if (isAscii || bytes.length === end) return { bytes, valueOffsets };
  return { bytes: Buffer.concat(said.map((text) => Buffer.from(text))), valueOffsets };
}
