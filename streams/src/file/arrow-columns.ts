/** Columns of an Arrow record batch in the form that all columnar files share. */
import type { RecordBatch, Vector } from "apache-arrow";
import type { FlatColumn } from "./row-group.ts";

export async function arrowColumns(batch: RecordBatch): Promise<readonly (readonly [string, FlatColumn])[]> {
  const { DataType } = await import("apache-arrow");
  return batch.schema.fields.map(({ name, type }, i) => {
    const vector = batch.getChildAt(i) as Vector;
    if (DataType.isTimestamp(type) || DataType.isDate(type))
      return [name, { type: "time", ...numbers(vector) }] as const;
    if (DataType.isInt(type) || DataType.isFloat(type)) return [name, { type: "number", ...numbers(vector) }] as const;
    if (DataType.isBool(type)) return [name, booleans(vector)] as const;
    const isText =
      DataType.isUtf8(type) ||
      DataType.isLargeUtf8(type) ||
      (DataType.isDictionary(type) && DataType.isUtf8(type.dictionary));
    return [name, isText ? texts(vector) : { type: "json", values: Array.from(vector, jsonOf) }] as const;
  });
}

function numbers(vector: Vector): { values: Float64Array; nulls: Uint8Array | null } {
  const values = new Float64Array(vector.length);
  let nulls: Uint8Array | null = null;
  for (let i = 0; i < values.length; i++) {
    const value: unknown = vector.get(i);
    const number = value === null ? Number.NaN : Number(value);
    // JSON has no NaN and no infinities.
    if (number - number === 0) values[i] = number;
    else {
      nulls ??= new Uint8Array(values.length);
      nulls[i] = 1;
    }
  }
  return { values, nulls };
}

function booleans(vector: Vector): FlatColumn {
  const values = new Uint8Array(vector.length);
  let nulls: Uint8Array | null = null;
  for (let i = 0; i < values.length; i++) {
    const value: unknown = vector.get(i);
    values[i] = value === true ? 1 : 0;
    if (value !== null) continue;
    nulls ??= new Uint8Array(values.length);
    nulls[i] = 1;
  }
  return { type: "boolean", values, nulls };
}

function texts(vector: Vector): FlatColumn {
  const codes = new Uint32Array(vector.length);
  const entries: string[] = [];
  const known = new Map<string, number>();
  let nulls: Uint8Array | null = null;
  for (let i = 0; i < codes.length; i++) {
    const text = vector.get(i) as string | null;
    if (text === null) {
      nulls ??= new Uint8Array(codes.length);
      nulls[i] = 1;
      continue;
    }
    const code = known.get(text) ?? entries.push(text) - 1;
    known.set(text, code);
    codes[i] = code;
  }
  return { type: "text", codes, nulls, entries };
}

/** Nested values, decimals and bytes as JSON. */
function jsonOf(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "object" || value === null) return value ?? null;
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, jsonOf);
  if (Array.isArray(value)) return value.map(jsonOf);
  if ("toJSON" in value && typeof value.toJSON === "function") return jsonOf((value.toJSON as () => unknown)());
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, jsonOf(field)]));
}
