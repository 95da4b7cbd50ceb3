/** Integers of 64 bits, and decimals: numbers where those are exact, texts of decimal digits where they are not. */
import type { Json } from "@millrace/engine";
import { ValueFault } from "./errors.ts";

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** A number within ±(2^53 - 1), beyond that its decimal digits as a text. */
export function wholeJson(value: bigint): number | string {
  return value >= -SAFE && value <= SAFE ? Number(value) : String(value);
}

/** @throws ValueFault it is no integer of so many bits */
export function wholeOf(value: Json | undefined, bits: 32 | 64, isSigned = true): bigint {
  const whole = plainWhole(value);
  const [min, max] = isSigned
    ? [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n]
    : [0n, (1n << BigInt(bits)) - 1n];
  if (whole !== undefined && whole >= min && whole <= max) return whole;
  throw new ValueFault(`expected a whole number from ${min} to ${max}, got ${shown(value)}`);
}

function plainWhole(value: Json | undefined): bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === "string" && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

/** `1234` with scale 2 is `12.34`. Every digit of the scale is written. */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const sign = unscaled < 0n ? "-" : "";
  return scale === 0 ? sign + whole : `${sign}${whole}.${digits.slice(digits.length - scale)}`;
}

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;

/** @throws ValueFault it is no decimal, or has more digits than scale and precision allow */
export function unscaledOf(value: Json | undefined, scale: number, precision: number): bigint {
  const text = typeof value === "number" ? String(value) : value;
  const [, sign = "", whole = "", fraction = ""] = typeof text === "string" ? (DECIMAL.exec(text) ?? []) : [];
  if (whole === "") throw new ValueFault(`expected a decimal as a text, got ${shown(value)}`);
  const kept = fraction.replace(/0+$/, "");
  if (kept.length > scale) throw new ValueFault(`${shown(value)} has more than ${scale} digits behind the point`);
  const digits = whole + kept.padEnd(scale, "0");
  if (digits.replace(/^0+/, "").length > precision)
    throw new ValueFault(`${shown(value)} has more than ${precision} digits`);
  return BigInt(sign + digits === "" ? "0" : (sign === "-" ? "-" : "") + digits);
}

/** Big-endian two's complement, as short as it can be, or of `size` bytes. @throws ValueFault it needs more */
export function twosComplement(value: bigint, size?: number): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(8 * length, value) !== value) length++;
  if (size !== undefined && length > size) throw new ValueFault(`it does not fit ${size} bytes`);
  const out = new Uint8Array(size ?? length);
  for (let i = out.length - 1, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(BigInt.asUintN(8, rest));
  return out;
}

export function fromTwosComplement(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

const SHOWN_MAX = 60;

/** A value as far as an error says it. */
export function shown(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
