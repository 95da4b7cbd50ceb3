/**
 * How values of each Avro type are read and written. Rows are what ops/docs/connectors.md says: of a union with one branch beside
 * `null` the value itself, of any other `{<branch>: value}`, as the specification's JSON encoding has it.
 */
import { fieldOf, isJsonObject, type Json, setField } from "@millrace/engine";
import avsc, { type Type } from "avsc";
import type { AvroForm } from "./avro-form.ts";
import type { Attributes } from "./avro-logical.ts";
import { binary, primitive, symbol, wholeNumber } from "./avro-scalars.ts";
import { union } from "./avro-union.ts";
import { ValueFault, within } from "./errors.ts";
import { refuseOthers } from "./row-fields.ts";
import { shown } from "./whole-number.ts";

/** A type that a schema says more of; `avsc` would drop what it does not know. */
export class Attributed extends avsc.types.LogicalType {
  readonly attributes: Attributes;

  constructor(schema: avsc.Schema, options?: object) {
    super(schema, options);
    this.attributes = schema as Attributes;
  }

  /** Defaults are kept as what is below the logical type. */
  protected override _fromValue<T>(value: T): T {
    return value;
  }

  protected override _toValue<T>(value: T): T {
    return value;
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
        return wholeNumber(typeName, attributes);
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
              setField(row, name, form.read(reader));
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
            const of = fieldOf(value, name);
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

function branchName(type: Type): string {
  const { branchName: name, underlyingType, typeName } = described(type);
  return name ?? (underlyingType === undefined ? typeName : branchName(underlyingType));
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
            setField(entries, at, form.read(reader));
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
