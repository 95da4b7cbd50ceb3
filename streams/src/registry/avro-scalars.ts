/** Values of Avro that hold no others. */
import type { Json } from "@millrace/engine";
import type { AvroReader } from "./avro-bytes.ts";
import type { AvroForm } from "./avro-form.ts";
import { type Attributes, bytesForm, wholeForm } from "./avro-logical.ts";
import { ValueFault } from "./errors.ts";
import { bytesOf, floatJson, floatOf } from "./json-scalars.ts";
import { shown, wholeJson, wholeOf } from "./whole-number.ts";

export function wholeNumber(typeName: "int" | "long", attributes: Attributes): AvroForm {
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

export function binary(attributes: Attributes, size: number | undefined): AvroForm {
  const form = bytesForm(attributes, size) ?? {
    json: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64"),
    bytes: bytesOf,
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

export function symbol(symbols: readonly string[]): AvroForm {
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

export function primitive(typeName: string): AvroForm {
  const form = PRIMITIVES[typeName];
  if (form === undefined) throw new Error(`values of type ${typeName} are not known`);
  return form;
}
