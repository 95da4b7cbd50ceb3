/** Messages of Protobuf that stand for one value: times, wrappers, JSON; and the decimal that registries know. */
import { isJsonObject, type Json } from "@millrace/engine";
import type { Type } from "protobufjs";
import { ValueFault, within } from "./errors.ts";
import { floatJson } from "./json-scalars.ts";
import { type Message, scalarJson, scalarOf } from "./protobuf-scalars.ts";
import { type Digits, instantOf, instantText } from "./time-text.ts";
import { decimalText, fromTwosComplement, shown, twosComplement, unscaledOf } from "./whole-number.ts";

export interface WellKnownForm {
  json(message: Message): Json;
  /** @throws ValueFault */
  message(value: Json | undefined): Message;
}

export function wellKnownForm(type: Type): WellKnownForm | undefined {
  return WELL_KNOWN.get(type.fullName);
}

const NANOS = 1_000_000_000n;

/** Of nanoseconds: as many digits as they need, in threes. */
function digitsOf(nanos: number): Digits {
  if (nanos === 0) return 0;
  if (nanos % 1_000_000 === 0) return 3;
  return nanos % 1000 === 0 ? 6 : 9;
}

interface SecondsAndNanos {
  readonly seconds: bigint;
  readonly nanos: number;
}

const partsOf = ({ seconds = 0, nanos = 0 }: Message): SecondsAndNanos => ({
  seconds: BigInt(String(seconds)),
  nanos: nanos as number,
});

const TIMESTAMP: WellKnownForm = {
  json(message) {
    const { seconds, nanos } = partsOf(message);
    if (nanos < 0 || nanos >= 1e9) throw new ValueFault(`${nanos} are no nanoseconds of a second`);
    const digits = digitsOf(nanos);
    return instantText((seconds * NANOS + BigInt(nanos)) / 10n ** BigInt(9 - digits), digits, "Z");
  },
  message(value) {
    if (typeof value !== "string") throw new ValueFault(`expected a time as 2026-01-02T03:04:05Z, got ${shown(value)}`);
    const all = instantOf(value, 9, "Z");
    const nanos = ((all % NANOS) + NANOS) % NANOS;
    return { seconds: String((all - nanos) / NANOS), nanos: Number(nanos) };
  },
};

const DURATION: WellKnownForm = {
  json(message) {
    const { seconds, nanos } = partsOf(message);
    const all = seconds * NANOS + BigInt(nanos);
    const digits = digitsOf(nanos);
    return `${decimalText(all / 10n ** BigInt(9 - digits), digits)}s`;
  },
  message(value) {
    const [, number] = typeof value === "string" ? (/^(-?[\d.]+)s$/.exec(value) ?? []) : [];
    if (number === undefined) throw new ValueFault(`expected a duration as 1.5s, got ${shown(value)}`);
    const all = unscaledOf(number, 9, 21);
    return { seconds: String(all / NANOS), nanos: Number(all % NANOS) };
  },
};

const wrapper = (type: string): WellKnownForm => ({
  json: ({ value }) => (value === undefined ? (NOTHING[type] ?? 0) : scalarJson(type, value)),
  message: (value) => ({ value: scalarOf(type, value ?? null) }),
});
const NOTHING: Readonly<Record<string, Json>> = { bool: false, string: "", bytes: "" };

const VALUES = ["nullValue", "boolValue", "numberValue", "stringValue", "structValue", "listValue"];

const VALUE: WellKnownForm = {
  json(message) {
    // The library has defaults for what is not set.
    const [kind = "nullValue"] = VALUES.filter((name) => Object.hasOwn(message, name));
    const value = message[kind];
    if (kind === "nullValue") return null;
    if (kind === "structValue") return STRUCT.json(value as Message);
    if (kind === "listValue") return LIST.json(value as Message);
    return kind === "numberValue" ? floatJson(value as number) : (value as Json);
  },
  message(value) {
    if (value === null || value === undefined) return { nullValue: 0 };
    if (typeof value === "boolean") return { boolValue: value };
    if (typeof value === "number") return { numberValue: value };
    if (typeof value === "string") return { stringValue: value };
    return Array.isArray(value) ? { listValue: LIST.message(value) } : { structValue: STRUCT.message(value) };
  },
};

const STRUCT: WellKnownForm = {
  json({ fields = {} }) {
    const entries = Object.entries(fields as Readonly<Record<string, Message>>);
    return Object.fromEntries(entries.map(([name, value]) => [name, VALUE.json(value)]));
  },
  message(value) {
    if (!isJsonObject(value)) throw new ValueFault(`expected an object, got ${shown(value)}`);
    return { fields: Object.fromEntries(Object.entries(value).map(([name, item]) => [name, VALUE.message(item)])) };
  },
};

const LIST: WellKnownForm = {
  json: ({ values = [] }) => (values as readonly Message[]).map((value) => VALUE.json(value)),
  message(value) {
    if (!Array.isArray(value)) throw new ValueFault(`expected a list, got ${shown(value)}`);
    return { values: value.map((item) => VALUE.message(item as Json)) };
  },
};

const DECIMAL_DIGITS = 38;
const SCALE_MAX = 1000;

/** A sink's decimal has as many digits behind the point as its text. */
const DECIMAL: WellKnownForm = {
  json({ value = [], scale = 0 }) {
    const digits = scale as number;
    if (digits < 0 || digits > SCALE_MAX) throw new ValueFault(`${digits} is no scale of a decimal`);
    return decimalText(fromTwosComplement(Uint8Array.from(value as Uint8Array)), digits);
  },
  message(value) {
    const text = String(value ?? "");
    const scale = text.split(".")[1]?.length ?? 0;
    try {
      return {
        value: twosComplement(unscaledOf(text, scale, DECIMAL_DIGITS)),
        precision: text.replace(/\D/g, "").length,
        scale,
      };
    } catch (error) {
      throw within(error, "value");
    }
  },
};

const WELL_KNOWN: ReadonlyMap<string, WellKnownForm> = new Map([
  [".google.protobuf.Timestamp", TIMESTAMP],
  [".google.protobuf.Duration", DURATION],
  [".google.protobuf.DoubleValue", wrapper("double")],
  [".google.protobuf.FloatValue", wrapper("float")],
  [".google.protobuf.Int64Value", wrapper("int64")],
  [".google.protobuf.UInt64Value", wrapper("uint64")],
  [".google.protobuf.Int32Value", wrapper("int32")],
  [".google.protobuf.UInt32Value", wrapper("uint32")],
  [".google.protobuf.BoolValue", wrapper("bool")],
  [".google.protobuf.StringValue", wrapper("string")],
  [".google.protobuf.BytesValue", wrapper("bytes")],
  [".google.protobuf.Value", VALUE],
  [".google.protobuf.Struct", STRUCT],
  [".google.protobuf.ListValue", LIST],
  [".confluent.type.Decimal", DECIMAL],
]);
