/**
 * How values of each Avro type are read and written. Rows are what ops/docs/connectors.md says: of a union with one branch beside
 * `null` the value itself, of any other `{<branch>: value}`, as the specification's JSON encoding has it.
 */
import { isJsonObject, type Json } from "@millrace/engine";
import avsc, { type Type } from "avsc";
import type { AvroReader, AvroWriter } from "./avro-bytes.ts";
import { AvroWriter as Writer } from "./avro-bytes.ts";
import { type Attributes, bytesForm, wholeForm } from "./avro-logical.ts";
import { ValueFault, within } from "./errors.ts";
import { shown, wholeJson, wholeOf } from "./whole-number.ts";

export interface AvroForm {
  /** @throws ValueFault */
  read(reader: AvroReader): Json;
  /** `undefined`: the row has nothing there. @throws ValueFault */
  write(writer: AvroWriter, value: Json | undefined): void;
}

/** A type that a schema says more of; `avsc` would drop what it does not know. */
export class Attributed extends avsc.types.LogicalType {
  readonly attributes: Attributes;

  constructor(schema: avsc.Schema, options?: object) {
    super(schema, options);
    this.attributes = schema as Attributes;
  }
}

// Of the library's types each kind has members of its own, which its declarations do not tell apart by name.
interface Described {
  readonly typeName: string;
  readonly branchName: string;
  readonly name: string;
  readonly size: number;
  readonly symbols: readonly string[];
  readonly itemsType: Type;
  readonly valuesType: Type;
  readonly underlyingType: Type;
  readonly types: readonly Type[];
  readonly fields: readonly { readonly name: string; readonly type: Type; defaultValue(): unknown }[];
}

const described = (type: Type): Described => type as unknown as Described;

export class AvroForms {
  /** A type may hold itself. */
  readonly #forms = new Map<Type, AvroForm>();

  of(type: Type): AvroForm {
    const known = this.#forms.get(type);
    if (known !== undefined) return known;
    let form: AvroForm | undefined;
    const late: AvroForm = {
      read: (reader) => reader.nested(() => (form as AvroForm).read(reader)),
      write: (writer, value) => (form as AvroForm).write(writer, value),
    };
    this.#forms.set(type, late);
    form = this.#made(type);
    this.#forms.set(type, form);
    return form;
  }

  #made(type: Type, attributes: Attributes = {}): AvroForm {
    const { typeName, size, symbols, itemsType, valuesType, underlyingType, types } = described(type);
    if (type instanceof Attributed) return this.#made(underlyingType, type.attributes);
    switch (typeName) {
      case "int":
      case "long":
        return whole(typeName, attributes);
      case "bytes":
        return binary(attributes, undefined);
      case "fixed":
        return binary(attributes, size);
      case "enum":
        return symbol(symbols);
      case "array":
        return list(this.of(itemsType));
      case "map":
        return map(this.of(valuesType));
      case "union:wrapped":
      case "union:unwrapped":
        return union(types.map((branch) => ({ name: branchName(branch), form: this.of(branch) })));
      case "record":
      case "error":
        return this.#record(type);
      default:
        return primitive(typeName);
    }
  }

  #record(type: Type): AvroForm {
    const fields = described(type).fields.map(({ name, type: of }, i) => {
      const field = described(type).fields[i];
      const byDefault = field?.defaultValue();
      return { name, form: this.of(of), byDefault: byDefault === undefined ? undefined : of.toBuffer(byDefault) };
    });
    const names = new Set(fields.map(({ name }) => name));
    return {
      read: (reader) =>
        reader.nested(() => {
          const row: Record<string, Json> = {};
          let at = "";
          try {
            for (const { name, form } of fields) {
              at = name;
              define(row, name, form.read(reader));
            }
          } catch (error) {
            throw within(error, at);
          }
          return row;
        }),
      write(writer, value) {
        if (!isJsonObject(value)) throw new ValueFault(`expected an object, got ${shown(value)}`);
        refuseOthers(value, names);
        let at = "";
        try {
          for (const { name, form, byDefault } of fields) {
            at = name;
            const of = Object.hasOwn(value, name) ? value[name] : undefined;
            if (of === undefined && byDefault !== undefined) writer.put(byDefault);
            else form.write(writer, of);
          }
        } catch (error) {
          throw within(error, at);
        }
      },
    };
  }
}

/** A field of the row that nothing would be written of is no detail: it would be lost without a word. @throws ValueFault */
export function refuseOthers(value: Readonly<Record<string, Json>>, names: ReadonlySet<string>): void {
  for (const name of Object.keys(value))
    if (!names.has(name)) throw new ValueFault("the schema has no such field", [name]);
}

/** Names come from elsewhere, and `__proto__` is one. */
export function define(row: Record<string, Json>, name: string, value: Json): void {
  if (name === "__proto__")
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  else row[name] = value;
}

function branchName(type: Type): string {
  const { branchName: name, underlyingType, typeName } = described(type);
  return name ?? (underlyingType === undefined ? typeName : branchName(underlyingType));
}

function whole(typeName: "int" | "long", attributes: Attributes): AvroForm {
  const form = wholeForm(typeName, attributes.logicalType);
  const bits = typeName === "int" ? 32 : 64;
  const read = (reader: AvroReader): number | bigint => (typeName === "int" ? reader.int() : reader.long());
  if (form !== undefined)
    return {
      read: (reader) => form.text(BigInt(read(reader))),
      write: (writer, value) => writer.long(fitting(form.of(value), bits, value)),
    };
  return {
    read(reader) {
      const value = read(reader);
      return typeof value === "number" ? value : wholeJson(value);
    },
    write: (writer, value) => writer.long(wholeOf(value, bits)),
  };
}

function fitting(value: bigint, bits: 32 | 64, of: Json | undefined): bigint {
  if (BigInt.asIntN(bits, value) !== value) throw new ValueFault(`${shown(of)} does not fit ${bits} bits`);
  return value;
}

function binary(attributes: Attributes, size: number | undefined): AvroForm {
  const form = bytesForm(attributes, size) ?? {
    json: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64"),
    bytes: base64Bytes,
  };
  return {
    read: (reader) => form.json(size === undefined ? reader.bytes() : reader.take(size)),
    write(writer, value) {
      const bytes = form.bytes(value);
      if (size === undefined) return writer.bytes(bytes);
      if (bytes.length !== size) throw new ValueFault(`expected ${size} bytes, got ${bytes.length}`);
      writer.put(bytes);
    },
  };
}

/** @throws ValueFault it is no base64 */
export function base64Bytes(value: Json | undefined): Uint8Array {
  const isBase64 =
    typeof value === "string" && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value);
  if (!isBase64) throw new ValueFault(`expected bytes as base64, got ${shown(value)}`);
  return Buffer.from(value, "base64");
}

function symbol(symbols: readonly string[]): AvroForm {
  return {
    read(reader) {
      const index = reader.int();
      const name = symbols[index];
      if (name === undefined) throw new ValueFault(`an enum has no symbol ${index}`);
      return name;
    },
    write(writer, value) {
      const index = typeof value === "string" ? symbols.indexOf(value) : -1;
      if (index < 0) throw new ValueFault(`expected one of ${symbols.join(", ")}, got ${shown(value)}`);
      writer.long(BigInt(index));
    },
  };
}

function list(form: AvroForm): AvroForm {
  return {
    read(reader) {
      const items: Json[] = [];
      try {
        reader.nested(() => reader.blocks(() => void items.push(form.read(reader))));
      } catch (error) {
        throw within(error, items.length);
      }
      return items;
    },
    write(writer, value) {
      if (!Array.isArray(value)) throw new ValueFault(`expected a list, got ${shown(value)}`);
      let i = 0;
      try {
        if (value.length > 0) writer.long(BigInt(value.length));
        for (; i < value.length; i++) form.write(writer, value[i] as Json);
      } catch (error) {
        throw within(error, i);
      }
      writer.long(0n);
    },
  };
}

function map(form: AvroForm): AvroForm {
  return {
    read(reader) {
      const entries: Record<string, Json> = {};
      let at = "";
      try {
        reader.nested(() =>
          reader.blocks(() => {
            at = reader.string();
            define(entries, at, form.read(reader));
          }),
        );
      } catch (error) {
        throw within(error, at);
      }
      return entries;
    },
    write(writer, value) {
      if (!isJsonObject(value)) throw new ValueFault(`expected an object, got ${shown(value)}`);
      const entries = Object.entries(value);
      if (entries.length > 0) writer.long(BigInt(entries.length));
      for (const [key, item] of entries) {
        writer.string(key);
        try {
          form.write(writer, item);
        } catch (error) {
          throw within(error, key);
        }
      }
      writer.long(0n);
    },
  };
}

interface Branch {
  readonly name: string;
  readonly form: AvroForm;
}

function union(branches: readonly Branch[]): AvroForm {
  const isTagged = branches.filter(({ name }) => name !== "null").length > 1;
  const names = branches.map(({ name }) => name);
  const write = (writer: AvroWriter, name: string, value: Json | undefined): void => {
    const index = names.indexOf(name);
    writer.long(BigInt(index));
    (branches[index] as Branch).form.write(writer, value);
  };
  return {
    read(reader) {
      const index = reader.int();
      const branch = branches[index];
      if (branch === undefined) throw new ValueFault(`a union has no branch ${index}`);
      if (!isTagged || branch.name === "null") return branch.form.read(reader);
      try {
        return { [branch.name]: branch.form.read(reader) };
      } catch (error) {
        throw within(error, branch.name);
      }
    },
    write(writer, value) {
      if ((value === undefined || value === null) && names.includes("null")) return write(writer, "null", null);
      if (!isTagged) return write(writer, names.find((name) => name !== "null") ?? "null", value);
      const tag = tagOf(value, names);
      if (tag === undefined) return write(writer, onlyBranch(branches, value), value);
      try {
        write(writer, tag.name, tag.value);
      } catch (error) {
        throw within(error, tag.name);
      }
    },
  };
}

function tagOf(
  value: Json | undefined,
  names: readonly string[],
): { readonly name: string; readonly value: Json } | undefined {
  if (!isJsonObject(value)) return undefined;
  const [entry, ...others] = Object.entries(value);
  if (entry === undefined || others.length > 0 || !names.includes(entry[0])) return undefined;
  return { name: entry[0], value: entry[1] };
}

/** A value without its branch's name, which only one branch can take. @throws ValueFault */
function onlyBranch(branches: readonly Branch[], value: Json | undefined): string {
  const fitting = branches.filter(({ form }) => {
    try {
      form.write(new Writer(), value);
      return true;
    } catch {
      return false;
    }
  });
  const [one, ...others] = fitting;
  if (one !== undefined && others.length === 0) return one.name;
  const names = (fitting.length === 0 ? branches : fitting).map(({ name }) => name).join(", ");
  const message = fitting.length === 0 ? `none of the branches ${names} takes` : `several branches, ${names}, take`;
  throw new ValueFault(`${message} ${shown(value)}; write {<branch>: value}`);
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

const PRIMITIVES: Readonly<Record<string, AvroForm>> = {
  null: {
    read: () => null,
    write(_, value) {
      if (value !== null && value !== undefined) throw new ValueFault(`expected null, got ${shown(value)}`);
    },
  },
  boolean: {
    read: (reader) => reader.boolean(),
    write(writer, value) {
      if (typeof value !== "boolean") throw new ValueFault(`expected true or false, got ${shown(value)}`);
      writer.byte(value ? 1 : 0);
    },
  },
  float: { read: (reader) => floatJson(reader.float()), write: (writer, value) => writer.float(floatOf(value)) },
  double: { read: (reader) => floatJson(reader.double()), write: (writer, value) => writer.double(floatOf(value)) },
  string: {
    read: (reader) => reader.string(),
    write(writer, value) {
      if (typeof value !== "string") throw new ValueFault(`expected a text, got ${shown(value)}`);
      writer.string(value);
    },
  },
};

function primitive(typeName: string): AvroForm {
  const form = PRIMITIVES[typeName];
  if (form === undefined) throw new Error(`values of type ${typeName} are not known`);
  return form;
}
