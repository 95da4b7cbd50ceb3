/**
 * Decodes row groups of a Parquet file (`hyparquet`) straight to columns: text becomes codes while its dictionary page is
 * decoded, so no string is made per row; 64-bit integers are read as pairs of 32-bit words, so no BigInt is either.
 */
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type Compressors,
  type FileMetaData,
  type ParquetParsers,
  parquetMetadataAsync,
  parquetScan,
  type SchemaElement,
  toJson,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { replaced, requiredRead } from "./parquet-levels.ts";
import type { FlatColumn, RowGroup, RowRange } from "./row-group.ts";

export class ParquetColumns {
  readonly ranges: readonly RowRange[];
  readonly #file: AsyncBuffer;
  readonly #metadata: FileMetaData;
  readonly #schema: ReadonlyMap<string, SchemaElement>;

  private constructor(file: AsyncBuffer, metadata: FileMetaData, ranges: readonly RowRange[]) {
    this.#file = file;
    this.#metadata = metadata;
    this.ranges = ranges;
    this.#schema = topLevelOf(metadata.schema);
  }

  static async open(file: AsyncBuffer): Promise<ParquetColumns> {
    const metadata = await parquetMetadataAsync(file);
    const { ranges } = await parquetScan({ file, metadata, compressors });
    return new ParquetColumns(file, metadata, ranges);
  }

  async read({ rowStart, rowEnd }: RowRange): Promise<RowGroup> {
    const columns: [string, FlatColumn][] = [];
    for (const [name, element] of this.#schema)
      columns.push([name, await this.#column(name, element, { rowStart, rowEnd })]);
    return { first: rowStart, n: rowEnd - rowStart, columns };
  }

  async #column(column: string, element: SchemaElement, range: RowRange): Promise<FlatColumn> {
    const text = new TextCodes();
    const isText =
      element.type === "BYTE_ARRAY" && (element.converted_type === "UTF8" || element.logical_type?.type === "STRING");
    if (isText) {
      const codes = { stringFromBytes: (bytes: Uint8Array | undefined) => text.code(bytes) };
      return textColumn(await this.#values(column, element, codes, range), text);
    }
    // Times inside nested values stay dates, which become ISO 8601 text.
    if (isTime(element)) return { type: "time", ...numbers(await this.#values(column, element, TIMES, range)) };
    const values = await this.#values(column, element, { timestampFromMilliseconds: Number }, range);
    if (element.type === "BOOLEAN") return booleans(values);
    const isNumber = element.type !== undefined && NUMERIC.has(element.type) && !isNested(element);
    return isNumber ? { type: "number", ...numbers(values) } : { type: "json", values: Array.from(values, toJson) };
  }

  async #values(
    column: string,
    element: SchemaElement,
    parsers: Partial<ParquetParsers>,
    range: RowRange,
  ): Promise<ArrayLike<unknown>> {
    const chunk = this.#chunk(column, range);
    const isInteger = isPlainInteger(element) && chunk?.encodings.some((encoding) => encoding.endsWith("_DICTIONARY"));
    const seen = isInteger === true ? { ...element, ...AS_MILLIS } : element;
    const own = isNested(element) ? {} : parsers;
    const metadata = replaced(this.#metadata, element, seen);
    const read = async (from: FileMetaData, codecs: Compressors): Promise<ArrayLike<unknown>> => {
      const options = { file: this.#file, metadata: from, compressors: codecs, parsers: own, columns: [column] };
      return (await (await parquetScan(options)).readColumn({ column, ...range })) as ArrayLike<unknown>;
    };
    const required = requiredRead(metadata, seen, chunk);
    if (required !== undefined) {
      const values = await read(required.metadata, required.compressors).catch(() => undefined);
      if (values !== undefined && required.isSound(range.rowEnd - range.rowStart)) return values;
    }
    return read(metadata, compressors);
  }

  /** What the file says of a column in the row group that is `range`. */
  #chunk(column: string, { rowStart, rowEnd }: RowRange): ColumnMetaData | undefined {
    let first = 0;
    for (const { columns, num_rows } of this.#metadata.row_groups) {
      const next = first + Number(num_rows);
      if (first === rowStart && next === rowEnd)
        return columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column)?.meta_data;
      first = next;
    }
    return undefined;
  }
}

/** A 64-bit integer that the file says no more of. */
function isPlainInteger({ type, converted_type, logical_type, repetition_type }: SchemaElement): boolean {
  return (
    type === "INT64" && converted_type === undefined && logical_type === undefined && repetition_type !== "REPEATED"
  );
}

/**
 * A dictionary of 64-bit integers is decoded as one of times, because times have a parser: it makes numbers of the entries,
 * where the decoder would make a BigInt of every value (2.4 times as long).
 */
const AS_MILLIS = { logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" } } as const;

const NUMERIC = new Set(["INT32", "INT64", "FLOAT", "DOUBLE"]);

/** Times as milliseconds since 1970 instead of `Date` objects; per dictionary entry where the file has dictionaries. */
const TIMES = {
  timestampFromMilliseconds: (millis: bigint) => Number(millis),
  timestampFromMicroseconds: (micros: bigint) => Math.floor(Number(micros) / 1000),
  timestampFromNanoseconds: (nanos: bigint) => Math.floor(Number(nanos / 1000n) / 1000),
  dateFromDays: (days: number) => days * 86_400_000,
};

/** Top-level fields; nested ones come assembled. */
function topLevelOf(schema: readonly SchemaElement[]): ReadonlyMap<string, SchemaElement> {
  const fields = new Map<string, SchemaElement>();
  let skip = 0;
  for (const element of schema.slice(1)) {
    if (skip > 0) skip--;
    else fields.set(element.name, element);
    skip += element.num_children ?? 0;
  }
  return fields;
}

function isNested(element: SchemaElement): boolean {
  return (element.num_children ?? 0) > 0 || element.repetition_type === "REPEATED";
}

function isTime({ type, converted_type, logical_type, repetition_type }: SchemaElement): boolean {
  if (repetition_type === "REPEATED") return false;
  if (type === "INT96" || logical_type?.type === "TIMESTAMP" || converted_type === "DATE") return true;
  return converted_type === "TIMESTAMP_MILLIS" || converted_type === "TIMESTAMP_MICROS";
}

/** Numbers texts in the order in which the decoder meets them. */
class TextCodes {
  readonly entries: string[] = [];
  readonly #codes = new Map<string, number>();
  readonly #decoder = new TextDecoder();

  /** Never called per row where a column is dictionary-encoded: then the decoder maps indices to codes itself. */
  code(bytes: Uint8Array | undefined): number | undefined {
    if (bytes === undefined || bytes === null) return undefined;
    const text = this.#decoder.decode(bytes);
    const known = this.#codes.get(text);
    if (known !== undefined) return known;
    this.#codes.set(text, this.entries.length);
    return this.entries.push(text) - 1;
  }
}

function textColumn(values: ArrayLike<unknown>, text: TextCodes): FlatColumn {
  const codes = new Uint32Array(values.length);
  const nulls = new NullMask(values.length);
  for (let i = 0; i < codes.length; i++) {
    const code = values[i];
    if (typeof code === "number") codes[i] = code;
    else nulls.set(i);
  }
  return { type: "text", codes, nulls: nulls.mask, entries: text.entries };
}

function numbers(values: ArrayLike<unknown>): { values: Float64Array; nulls: Uint8Array | null } {
  const out = new Float64Array(values.length);
  const nulls = new NullMask(values.length);
  if (values instanceof BigInt64Array) {
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    for (let i = 0; i < out.length; i++)
      out[i] = (words[2 * i + 1] as number) * 0x1_0000_0000 + ((words[2 * i] as number) >>> 0);
    return { values: out, nulls: null };
  }
  for (let i = 0; i < out.length; i++) {
    const value = values[i];
    const number = typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : Number.NaN;
    // JSON has no NaN and no infinities.
    if (number - number === 0) out[i] = number;
    else nulls.set(i);
  }
  return { values: out, nulls: nulls.mask };
}

function booleans(values: ArrayLike<unknown>): FlatColumn {
  const out = new Uint8Array(values.length);
  const nulls = new NullMask(values.length);
  for (let i = 0; i < out.length; i++) {
    if (typeof values[i] === "boolean") out[i] = values[i] === true ? 1 : 0;
    else nulls.set(i);
  }
  return { type: "boolean", values: out, nulls: nulls.mask };
}

/** Made with its first null. */
class NullMask {
  mask: Uint8Array | null = null;
  readonly #n: number;

  constructor(n: number) {
    this.#n = n;
  }

  set(i: number): void {
    this.mask ??= new Uint8Array(this.#n);
    this.mask[i] = 1;
  }
}
