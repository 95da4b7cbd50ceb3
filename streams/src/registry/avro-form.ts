/** How values of a type of Avro are read and written. */
import type { Json } from "@millrace/engine";
import type { AvroReader, AvroWriter } from "./avro-bytes.ts";

export interface AvroForm {
  /** @throws ValueFault */
  read(reader: AvroReader): Json;
  /** `undefined`: the row has nothing there. @throws ValueFault */
  write(writer: AvroWriter, value: Json | undefined): void;
}
