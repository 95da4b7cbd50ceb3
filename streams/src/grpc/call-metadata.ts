import { Metadata } from "@grpc/grpc-js";
import type { Place } from "@millrace/engine";
import { grpcError } from "./errors.ts";

/**
 * What every call is sent with. The library says a value that it cannot hold, which may be a secret: here only its key is told.
 *
 * @throws GRPC-SCHEMA
 */
export function callMetadata(
  values: Readonly<Record<string, string>> = {},
  placeOf?: (...keys: readonly string[]) => Place,
): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) {
    try {
      metadata.set(key, value);
    } catch {
      const text = `the value of \`${key}\` has characters that metadata cannot hold`;
      throw grpcError("GRPC-SCHEMA", text, { place: placeOf?.("metadata", key) });
    }
  }
  return metadata;
}
