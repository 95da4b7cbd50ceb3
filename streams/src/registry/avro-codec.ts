/** Messages by an Avro schema. `avsc` parses the schema and resolves its names; bytes are read and written here. */
import avsc, { type Schema, type Type } from "avsc";
import { AvroReader, AvroWriter } from "./avro-bytes.ts";
import { Attributed, AvroForms } from "./avro-forms.ts";
import { LOGICAL_TYPES } from "./avro-logical.ts";
import type { SchemaCodec, SchemaText } from "./schema-codec.ts";

/** @throws the schema is none */
export function avroCodec({ schema, references }: SchemaText, record?: string): SchemaCodec {
  const registry: Record<string, Type> = {};
  const options = {
    registry,
    wrapUnions: true,
    logicalTypes: Object.fromEntries(LOGICAL_TYPES.map((name) => [name, Attributed])),
  };
  for (const reference of references) avsc.Type.forSchema(JSON.parse(reference.schema) as Schema, options);
  const whole = avsc.Type.forSchema(JSON.parse(schema) as Schema, options);
  const type = record === undefined ? whole : registry[record];
  if (type === undefined) throw new Error(`it has no record ${record}`);
  const form = new AvroForms().of(type);
  return {
    record: type.name ?? type.typeName,
    decode(body) {
      const reader = new AvroReader(body);
      const row = form.read(reader);
      reader.end();
      return row;
    },
    encode(row) {
      const writer = new AvroWriter();
      form.write(writer, row);
      return writer.done();
    },
  };
}
