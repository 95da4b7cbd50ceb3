/** Writes an answer as an Arrow IPC file, a record batch per chunk. */
import { type FileHandle, open } from "node:fs/promises";
import {
  type DuckDBDataChunk,
  type DuckDBDecimalType,
  type DuckDBDecimalValue,
  type DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
} from "@duckdb/node-api";
import {
  Bool,
  type Data,
  type DataType,
  Decimal,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { cellText, jsonCell } from "./cell-value.ts";

/** A column's type in the file, and its values as a builder of that type takes them. */
interface ArrowColumn {
  readonly type: DataType;
  /** What the builder makes, where it is of another type with the same bits. */
  readonly built?: DataType;
  readonly of: (value: DuckDBValue, type: DuckDBType) => unknown;
}

const asItIs = (value: DuckDBValue): unknown => value;
const INT32: ArrowColumn = { type: new Int32(), of: asItIs };
const INT64: ArrowColumn = { type: new Int64(), of: (value) => BigInt(value as number | bigint) };
const FLOAT64: ArrowColumn = { type: new Float64(), of: asItIs };
/** What has no counterpart is written as JSON. */
const TEXT: ArrowColumn = { type: new Utf8(), of: (value, type) => textOf(value, type) };
const HUGEINT_DIGITS = 38;

const COLUMNS: Readonly<Partial<Record<DuckDBTypeId, ArrowColumn>>> = {
  [DuckDBTypeId.BOOLEAN]: { type: new Bool(), of: asItIs },
  [DuckDBTypeId.TINYINT]: INT32,
  [DuckDBTypeId.SMALLINT]: INT32,
  [DuckDBTypeId.INTEGER]: INT32,
  [DuckDBTypeId.UTINYINT]: INT32,
  [DuckDBTypeId.USMALLINT]: INT32,
  [DuckDBTypeId.UINTEGER]: INT64,
  [DuckDBTypeId.BIGINT]: INT64,
  [DuckDBTypeId.FLOAT]: FLOAT64,
  [DuckDBTypeId.DOUBLE]: FLOAT64,
  [DuckDBTypeId.HUGEINT]: { type: new Decimal(0, HUGEINT_DIGITS), of: (value) => words(value as bigint) },
  [DuckDBTypeId.TIMESTAMP]: {
    type: new TimestampMicrosecond(),
    // The builder of times takes fractions of milliseconds only.
    built: new Int64(),
    of: (value) => (value as DuckDBTimestampValue).micros,
  },
};

function columnOf(type: DuckDBType): ArrowColumn {
  if (type.typeId !== DuckDBTypeId.DECIMAL) return COLUMNS[type.typeId] ?? TEXT;
  const { scale, width } = type as DuckDBDecimalType;
  return { type: new Decimal(scale, width), of: (value) => words((value as DuckDBDecimalValue).value) };
}

function textOf(value: DuckDBValue, type: DuckDBType): string {
  return typeof value === "string" ? value : cellText(jsonCell(value, type, jsonCell));
}

/** 128 bits of a number, as Arrow keeps decimals: four words, the lowest first. */
function words(value: bigint): Uint32Array {
  const bits = BigInt.asUintN(128, value);
  return Uint32Array.from([0n, 32n, 64n, 96n], (shift) => Number((bits >> shift) & 0xffff_ffffn));
}

/** @returns rows written */
export async function writeArrowFile(
  path: string,
  names: readonly string[],
  types: readonly DuckDBType[],
  chunks: AsyncIterable<DuckDBDataChunk>,
): Promise<number> {
  const columns = types.map(columnOf);
  const schema = new Schema(names.map((name, i) => new Field(name, (columns[i] as ArrowColumn).type, true)));
  const writer = new RecordBatchFileWriter();
  const file = await open(path, "w");
  try {
    const [rows] = await Promise.all([writeBatches(writer, schema, columns, types, chunks), copied(writer, file)]);
    return rows;
  } finally {
    await file.close();
  }
}

async function writeBatches(
  writer: RecordBatchFileWriter,
  schema: Schema,
  columns: readonly ArrowColumn[],
  types: readonly DuckDBType[],
  chunks: AsyncIterable<DuckDBDataChunk>,
): Promise<number> {
  let rows = 0;
  try {
    for await (const chunk of chunks) {
      writer.write(batchOf(schema, columns, types, chunk));
      rows += chunk.rowCount;
    }
    // A file without a batch would have no schema either.
    if (rows === 0) writer.write(batchOf(schema, columns, types, undefined));
  } finally {
    writer.finish();
  }
  return rows;
}

async function copied(bytes: AsyncIterable<Uint8Array>, file: FileHandle): Promise<void> {
  for await (const part of bytes) await file.writeFile(part);
}

function batchOf(
  schema: Schema,
  columns: readonly ArrowColumn[],
  types: readonly DuckDBType[],
  chunk: DuckDBDataChunk | undefined,
): RecordBatch {
  const children = columns.map(({ type, built = type, of }, i) => {
    const own = types[i] as DuckDBType;
    const values = chunk?.getColumnValues(i) ?? [];
    const arrow = values.map((value) => (value === null ? null : of(value, own)));
    const data = values.length === 0 ? undefined : vectorFromArray(arrow, built).data[0];
    if (data === undefined) return makeData({ type: type as Int64 });
    return type === built ? data : retyped(data, type);
  });
  const length = chunk?.rowCount ?? 0;
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }));
}

function retyped({ length, nullCount, values, nullBitmap }: Data, type: DataType): Data {
  // Types of 64 bits share this layout, whichever it is.
  return makeData({ type: type as Int64, length, nullCount, data: values, nullBitmap });
}
