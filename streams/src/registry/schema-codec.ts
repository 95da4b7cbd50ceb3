/** What a registered schema says: how its messages become rows, and rows its messages. */
import { type Json, MillraceError, messageOf } from "@millrace/engine";
import { registryError } from "./errors.ts";

export type SchemaType = "AVRO" | "PROTOBUF" | "JSON";

/** A schema that another one refers to. */
export interface ReferredSchema {
  /** What the other one calls it. */
  readonly name: string;
  readonly schema: string;
}

export interface SchemaText {
  readonly type: SchemaType;
  readonly schema: string;
  /** All that it refers to, directly or not; each after those that it refers to itself. */
  readonly references: readonly ReferredSchema[];
}

export interface SchemaCodec {
  /** Full name of the record or message that rows are written as. */
  readonly record: string;
  /** The row of what follows the id of the schema. @throws ValueFault */
  decode(body: Uint8Array): Json;
  /** What follows the id of the schema. @throws ValueFault */
  encode(row: Json): Uint8Array;
}

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
