/** Scalar values of Protobuf, as JSON and as the library takes them. */
import type { Json } from "@millrace/engine";
import { ValueFault } from "./errors.ts";
import { bytesOf, floatJson, floatOf } from "./json-scalars.ts";
import { shown, wholeJson, wholeOf } from "./whole-number.ts";

/** A message as the library has it. */
export type Message = Readonly<Record<string, unknown>>;

/** Bits, and whether there are negative ones. */
const WHOLE: Readonly<Record<string, readonly [32 | 64, boolean]>> = {
  int32: [32, true],
  sint32: [32, true],
  sfixed32: [32, true],
  uint32: [32, false],
  fixed32: [32, false],
  int64: [64, true],
  sint64: [64, true],
  sfixed64: [64, true],
  uint64: [64, false],
  fixed64: [64, false],
};

export function scalarJson(type: string, value: unknown): Json {
  if (type === "bytes") return Buffer.from((value ?? []) as Uint8Array).toString("base64");
  if (type === "float" || type === "double") return floatJson(value as number);
  // The library has an object for an integer of 64 bits.
  if (typeof value === "object" && value !== null) return wholeJson(BigInt(String(value)));
  return value as Json;
}

/** @throws ValueFault */
export function scalarOf(type: string, value: Json): unknown {
  const whole = WHOLE[type];
  if (whole !== undefined) {
    const number = wholeOf(value, ...whole);
    return whole[0] === 32 ? Number(number) : String(number);
  }
  if (type === "bytes") return bytesOf(value);
  if (type === "double") return floatOf(value);
  if (type === "float") return singleOf(value);
  if (typeof value === (type === "bool" ? "boolean" : "string")) return value;
  throw new ValueFault(`expected ${type === "bool" ? "true or false" : "a text"}, got ${shown(value)}`);
}

function singleOf(value: Json): number {
  const number = floatOf(value);
  if (Number.isFinite(number) && !Number.isFinite(Math.fround(number)))
    throw new ValueFault(`${number} is too large for 32 bits`);
  return number;
}
