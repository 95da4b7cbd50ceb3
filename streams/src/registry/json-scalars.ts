/** Values that JSON has no form for: bytes, and numbers that are not finite. */
import { base64Bytes, type Json } from "@millrace/engine";
import { ValueFault } from "./errors.ts";
import { shown } from "./whole-number.ts";

/** @throws ValueFault it is no base64 */
export function bytesOf(value: Json | undefined): Uint8Array {
  const bytes = typeof value === "string" ? base64Bytes(value) : undefined;
  if (bytes === undefined) throw new ValueFault(`expected bytes as base64, got ${shown(value)}`);
  return bytes;
}

const NOT_FINITE: ReadonlySet<unknown> = new Set(["NaN", "Infinity", "-Infinity"]);

/** JSON has no numbers for these. */
export const floatJson = (value: number): Json => (Number.isFinite(value) ? value : String(value));

/** @throws ValueFault */
export function floatOf(value: Json | undefined): number {
  if (typeof value === "number") return value;
  if (NOT_FINITE.has(value)) return Number(value);
  throw new ValueFault(`expected a number, got ${shown(value)}`);
}
