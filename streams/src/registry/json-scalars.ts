/** Values that JSON has no form for: bytes, and numbers that are not finite. */
import type { Json } from "@millrace/engine";
import { ValueFault } from "./errors.ts";
import { shown } from "./whole-number.ts";

/** @throws ValueFault it is no base64 */
export function base64Bytes(value: Json | undefined): Uint8Array {
  const isBase64 =
    typeof value === "string" && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value);
  if (!isBase64) throw new ValueFault(`expected bytes as base64, got ${shown(value)}`);
  return Buffer.from(value, "base64");
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
