import { CLIENT_SCHEMA, tagsOf } from "@millrace/engine/worker";
import { RECORD_HEADER_BYTES, schemaVersionAt } from "./record.ts";

const NONE: readonly string[] = [];

/** Tags of the event whose record is at `at`. */
export function tagsAt(bytes: Uint8Array, view: DataView, at: number): readonly string[] {
  const schemaVersion = schemaVersionAt(view, at);
  if (schemaVersion !== CLIENT_SCHEMA) return NONE;
  return tagsOf({ schemaVersion, payload: bytes.subarray(at + RECORD_HEADER_BYTES, at + view.getUint32(at, true)) });
}
