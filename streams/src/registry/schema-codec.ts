/** What a registered schema says: how its messages become rows, and rows its messages. */
import type { Json } from "@millrace/engine";

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
