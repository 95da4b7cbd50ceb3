/** From the text of a schema to its codec; the library of each kind is loaded when it is first needed. */
import { MillraceError, messageOf } from "@millrace/engine";
import { registryError } from "./errors.ts";
import type { SchemaCodec, SchemaText } from "./schema-codec.ts";

/**
 * `record`: which of several records or messages rows are written as.
 *
 * @throws REGISTRY-SCHEMA
 */
export async function compileSchema(text: SchemaText, record?: string): Promise<SchemaCodec> {
  try {
    switch (text.type) {
      case "AVRO":
        return (await import("./avro-codec.ts")).avroCodec(text, record);
      case "PROTOBUF":
        return (await import("./protobuf-codec.ts")).protobufCodec(text, record);
      case "JSON":
        return (await import("./json-schema-codec.ts")).jsonSchemaCodec(text, record);
      default:
        throw new Error(`schemas of type ${String(text.type).slice(0, 40)} are not known`);
    }
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    throw registryError("REGISTRY-SCHEMA", `a schema cannot be used: ${messageOf(cause)}`, { cause });
  }
}
