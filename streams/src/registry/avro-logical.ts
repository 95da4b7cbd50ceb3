/** The logical types of Avro: what their integers and bytes mean. One that is not known, or not valid, means nothing. */
import type { Json } from "@millrace/engine";
import { ValueFault } from "./errors.ts";
import { clockOf, clockText, type Digits, dateText, daysOf, instantOf, instantText } from "./time-text.ts";
import { decimalText, fromTwosComplement, shown, twosComplement, unscaledOf, wholeOf } from "./whole-number.ts";

/** Of an `int` or `long`. */
export interface WholeForm {
  text(value: bigint): Json;
  of(value: Json | undefined): bigint;
}

/** Of `bytes` or a `fixed`, whose size is given. */
export interface BytesForm {
  json(bytes: Uint8Array): Json;
  bytes(value: Json | undefined): Uint8Array;
}

const clock = (digits: Digits): WholeForm => ({
  text: (value) => clockText(value, digits),
  of: (value) => clockOf(value, digits),
});
const instant = (digits: Digits, zone: "Z" | ""): WholeForm => ({
  text: (value) => instantText(value, digits, zone),
  of: (value) => instantOf(value, digits, zone),
});

const WHOLE: ReadonlyMap<string, WholeForm> = new Map([
  ["int date", { text: dateText, of: daysOf }],
  ["int time-millis", clock(3)],
  ["long time-micros", clock(6)],
  ["long timestamp-millis", instant(3, "Z")],
  ["long timestamp-micros", instant(6, "Z")],
  ["long timestamp-nanos", instant(9, "Z")],
  ["long local-timestamp-millis", instant(3, "")],
  ["long local-timestamp-micros", instant(6, "")],
  ["long local-timestamp-nanos", instant(9, "")],
]);

/** Those that change how a value is shown; a `uuid` that is a string is shown as it is. */
export const LOGICAL_TYPES: readonly string[] = [
  ...[...WHOLE.keys()].map((key) => key.split(" ")[1] as string),
  "decimal",
  "duration",
  "uuid",
];

export function wholeForm(typeName: string, logicalType: unknown): WholeForm | undefined {
  return WHOLE.get(`${typeName} ${String(logicalType)}`);
}

/** What a schema says beside its type. */
export interface Attributes {
  readonly logicalType?: unknown;
  readonly precision?: unknown;
  readonly scale?: unknown;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** `size`: of a fixed. */
export function bytesForm(attributes: Attributes, size: number | undefined): BytesForm | undefined {
  const { logicalType, precision, scale = 0 } = attributes;
  if (logicalType === "uuid" && size === 16) return UUID;
  if (logicalType === "duration" && size === 12) return DURATION;
  if (logicalType !== "decimal" || !isCount(precision) || !isCount(scale) || scale > precision) return undefined;
  return {
    json: (bytes) => decimalText(fromTwosComplement(bytes), scale),
    bytes: (value) => twosComplement(unscaledOf(value, scale, precision), size),
  };
}

const UUID: BytesForm = {
  json: (bytes) =>
    Buffer.from(bytes)
      .toString("hex")
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
  bytes(value) {
    if (typeof value !== "string" || !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value))
      throw new ValueFault(`expected a UUID, got ${shown(value)}`);
    return Buffer.from(value.replaceAll("-", ""), "hex");
  },
};

const PARTS = ["months", "days", "millis"] as const;

/** Three little-endian unsigned integers. */
const DURATION: BytesForm = {
  json(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Object.fromEntries(PARTS.map((part, i) => [part, view.getUint32(4 * i, true)]));
  },
  bytes(value) {
    const out = Buffer.alloc(12);
    for (const [i, part] of PARTS.entries()) {
      const parts = value as Readonly<Record<string, Json>> | null | undefined;
      out.writeUInt32LE(Number(wholeOf(parts?.[part], 32, false)), 4 * i);
    }
    return out;
  },
};
