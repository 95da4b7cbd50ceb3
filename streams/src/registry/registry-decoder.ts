/** Messages that begin with the id of their schema, as rows. */
import { type Json, MillraceError } from "@millrace/engine";
import type { DecodeMessage, MessageDecoder } from "../format/message-format.ts";
import { registryError, ValueFault } from "./errors.ts";
import type { RegistryClient } from "./registry-client.ts";
import type { SchemaCodec } from "./schema-codec.ts";
import { bodyOf, schemaIdOf } from "./wire-format.ts";

/** What is wrong with a message, and not with the registry: these come again however often it is asked. */
const OF_MESSAGE = new Set(["REGISTRY-UNKNOWN", "REGISTRY-SCHEMA"]);

export function registryDecoder(client: RegistryClient): MessageDecoder {
  return {
    ready(values) {
      const codecs = new Map<number, SchemaCodec | MillraceError>();
      for (const id of idsOf(values)) {
        const known = client.known(id);
        if (known === undefined) return undefined;
        codecs.set(id, known);
      }
      return decodeBy(codecs);
    },
    async prepared(values) {
      const codecs = new Map<number, SchemaCodec | MillraceError>();
      await Promise.all([...idsOf(values)].map(async (id) => codecs.set(id, await codecOrFault(client, id))));
      return decodeBy(codecs);
    },
    connection: () => client.status,
    close: () => client.close(),
  };
}

function idsOf(values: Iterable<Uint8Array>): ReadonlySet<number> {
  const ids = new Set<number>();
  for (const value of values) if (value.length >= 5 && value[0] === 0) ids.add(schemaIdOf(value));
  return ids;
}

async function codecOrFault(client: RegistryClient, id: number): Promise<SchemaCodec | MillraceError> {
  try {
    return await client.codec(id);
  } catch (error) {
    if (error instanceof MillraceError && OF_MESSAGE.has(error.code)) return error;
    throw error;
  }
}

function decodeBy(codecs: ReadonlyMap<number, SchemaCodec | MillraceError>): DecodeMessage {
  return (value): Json => {
    const id = schemaIdOf(value);
    const codec = codecs.get(id);
    if (codec === undefined || codec instanceof MillraceError)
      throw codec ?? new Error(`schema ${id} was not prepared`);
    try {
      return codec.decode(bodyOf(value));
    } catch (cause) {
      if (!(cause instanceof ValueFault || cause instanceof RangeError)) throw cause;
      const path = cause instanceof ValueFault ? cause.path : "$";
      const message = `it does not fit schema ${id} at ${path}: ${cause.message}`;
      throw registryError("REGISTRY-BYTES", message, { cause, details: { id, path } });
    }
  };
}
