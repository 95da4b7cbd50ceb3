/** Messages by a Protobuf schema. `protobufjs` parses the schema and reads and writes the bytes. */
import type { Type } from "protobufjs";
import { ValueFault } from "./errors.ts";
import { ProtobufForms } from "./protobuf-forms.ts";
import { indexesOf, messageAt, messagesOf, nameOf } from "./protobuf-schema.ts";
import type { SchemaCodec, SchemaText } from "./schema-codec.ts";
import { messageIndexesOf, withMessageIndexes } from "./wire-format.ts";

/** @throws the schema is none, or has no such message */
export function protobufCodec({ schema, references }: SchemaText, record?: string): SchemaCodec {
  const messages = messagesOf(schema, references);
  const indexes = record === undefined ? [0] : indexesOf(messages, record);
  const written = indexes === undefined ? undefined : messageAt(messages, indexes);
  if (indexes === undefined || written === undefined) throw new Error(`it has no message ${record}`);
  const forms = new ProtobufForms();
  return {
    record: nameOf(written),
    decode(body) {
      const found = messageIndexesOf(body);
      const type = messageAt(messages, found.indexes);
      if (type === undefined) throw new ValueFault(`the schema has no message at ${found.indexes.join(".")}`);
      return forms.json(type, decoded(type, found.message));
    },
    encode: (row) => withMessageIndexes(indexes, written.encode(forms.message(written, row)).finish()),
  };
}

function decoded(type: Type, bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return type.decode(bytes) as unknown as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new ValueFault(`it is no ${nameOf(type)}: ${(cause as Error).message}`);
  }
}
