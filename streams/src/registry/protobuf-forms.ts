/**
 * Messages of Protobuf as rows, after its own JSON mapping (protobuf.dev, "ProtoJSON Format"), but for two things: fields have the
 * names of the schema, and integers of 64 bits are numbers where those are exact.
 */
import { fieldOf, isJsonObject, type Json, setField } from "@millrace/engine";
import protobuf, { type Type } from "protobufjs";
import { ValueFault, within } from "./errors.ts";
import { type Message, scalarJson, scalarOf } from "./protobuf-scalars.ts";
import { wellKnownForm } from "./protobuf-well-known.ts";
import { refuseOthers } from "./row-fields.ts";
import { shown } from "./whole-number.ts";

/** A field as the library has it; `keyType` is a map's. */
interface Field {
  readonly name: string;
  readonly type: string;
  readonly resolvedType: object | null;
  readonly repeated: boolean;
  readonly map: boolean;
  readonly required?: boolean;
  readonly keyType?: string;
  /** It may be told whether it was set. */
  readonly hasPresence?: unknown;
}

export class ProtobufForms {
  readonly #isPart: boolean;

  /** @param options.isPart rows are parts of messages: what is required (proto2) may be missing. Default false. */
  constructor({ isPart = false }: { readonly isPart?: boolean } = {}) {
    this.#isPart = isPart;
  }

  /** @throws ValueFault */
  json(type: Type, message: Message): Json {
    const known = wellKnownForm(type);
    if (known !== undefined) return known.json(message);
    const row: Record<string, Json> = {};
    for (const field of type.fieldsArray) {
      const isSet = Object.hasOwn(message, field.name) && message[field.name] !== null;
      // What has no presence is there always, with its default.
      if (!isSet && isOptional(field)) continue;
      try {
        setField(row, field.name, this.#fieldJson(field, message[field.name]));
      } catch (error) {
        throw within(error, field.name);
      }
    }
    return row;
  }

  /** @throws ValueFault */
  message(type: Type, row: Json | undefined): Message {
    const known = wellKnownForm(type);
    if (known !== undefined) return known.message(row);
    if (!isJsonObject(row)) throw new ValueFault(`expected an object, got ${shown(row)}`);
    refuseOthers(row, new Set(type.fieldsArray.map(({ name }) => name)));
    const message: Record<string, unknown> = {};
    for (const field of type.fieldsArray) {
      const value = fieldOf(row, field.name);
      try {
        // A null is what is not set, in its own JSON mapping, too; but for the value that can be null.
        const isThere = value !== undefined && (value !== null || isNullable(field));
        if (!isThere && field.required && !this.#isPart) throw new ValueFault("it is required, and not there");
        if (isThere) setField(message, field.name, this.#fieldOf(field, value));
      } catch (error) {
        throw within(error, field.name);
      }
    }
    for (const { name, oneof } of type.oneofsArray)
      if (oneof.filter((field) => Object.hasOwn(message, field)).length > 1)
        throw new ValueFault(`only one of ${oneof.join(", ")} can be set: they are the oneof ${name}`);
    return message;
  }

  #fieldJson(field: Field, value: unknown): Json {
    if (field.map) return this.#mapJson(field, (value ?? {}) as Message);
    if (!field.repeated) return this.#oneJson(field, value);
    return ((value ?? []) as readonly unknown[]).map((item) => this.#oneJson(field, item));
  }

  #mapJson(field: Field, entries: Message): Json {
    const row: Record<string, Json> = {};
    for (const [key, item] of Object.entries(entries)) setField(row, keyText(field, key), this.#oneJson(field, item));
    return row;
  }

  #oneJson({ resolvedType, type }: Field, value: unknown): Json {
    if (resolvedType instanceof protobuf.Type) return this.json(resolvedType, value as Message);
    if (resolvedType instanceof protobuf.Enum) return resolvedType.valuesById[value as number] ?? (value as number);
    return scalarJson(type, value);
  }

  #fieldOf(field: Field, value: Json): unknown {
    if (field.map) {
      if (!isJsonObject(value)) throw new ValueFault(`expected an object, got ${shown(value)}`);
      const keys = Object.entries(value).map(([key, item]) => [keyOf(field, key), this.#stepOf(field, item, key)]);
      return Object.fromEntries(keys) as object;
    }
    if (!field.repeated) return this.#oneOf(field, value);
    if (!Array.isArray(value)) throw new ValueFault(`expected a list, got ${shown(value)}`);
    return value.map((item, i) => this.#stepOf(field, item as Json, i));
  }

  #stepOf(field: Field, item: Json, step: string | number): unknown {
    try {
      return this.#oneOf(field, item);
    } catch (error) {
      throw within(error, step);
    }
  }

  #oneOf({ resolvedType, type }: Field, value: Json): unknown {
    if (resolvedType instanceof protobuf.Type) return this.message(resolvedType, value);
    if (resolvedType instanceof protobuf.Enum) return enumNumber(resolvedType, value);
    return scalarOf(type, value);
  }
}

/** Absent is something else than the default. */
const isOptional = ({ repeated, map, resolvedType, hasPresence }: Field): boolean =>
  !repeated && !map && (resolvedType instanceof protobuf.Type || Boolean(hasPresence));

const isNullable = ({ resolvedType }: Field): boolean =>
  resolvedType instanceof protobuf.Type && resolvedType.fullName === ".google.protobuf.Value";

/** @throws ValueFault it is neither a name nor a number of it */
function enumNumber({ values }: protobuf.Enum, value: Json): number {
  const number = typeof value === "string" && Object.hasOwn(values, value) ? values[value] : value;
  if (typeof number === "number" && Number.isInteger(number) && Math.abs(number) < 2 ** 31) return number;
  throw new ValueFault(`expected one of ${Object.keys(values).join(", ")}, got ${shown(value)}`);
}

const isLong = (keyType: string): boolean => /64$/.test(keyType);

/** The library keeps keys of 64 bits as eight characters. */
function keyText({ keyType = "string" }: Field, key: string): string {
  return isLong(keyType) ? protobuf.util.longFromHash(key, /^u|^fixed/.test(keyType)).toString() : key;
}

function keyOf({ keyType = "string" }: Field, key: string): string {
  if (keyType === "string") return key;
  if (keyType !== "bool") {
    scalarOf(keyType, key);
    return key;
  }
  if (key !== "true" && key !== "false") throw new ValueFault(`expected a key true or false, got ${shown(key)}`);
  // The library takes it for a truth value: every other text is a true one.
  return key === "false" ? "" : key;
}
