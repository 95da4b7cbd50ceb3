/**
 * Events that a client of the log wrote, as the log knows them: a payload in the protobuf wire format of EventStoreDB's `RecordedEvent`
 * (the `gateway` writes it), of which the log itself reads nothing but the client's metadata.
 */

/** `schemaVersion` of such events. */
export const CLIENT_SCHEMA = 0xe5db;

/** `$$s` is the stream of the metadata of `s`, of which only the last event is ever read. */
export const METASTREAM = "$$";

const METADATA_FIELD = 7;
const LENGTH_DELIMITED = 2;
const NOTHING = new Uint8Array(0);

/** The metadata in the payload of a client's event; empty when it has none, or the payload is nothing that a client wrote. */
export function clientMetadata(payload: Uint8Array): Uint8Array {
  let metadata: Uint8Array = NOTHING;
  for (let at = 0; at < payload.length; ) {
    const [key, afterKey] = varint(payload, at);
    const [length, start] = varint(payload, afterKey);
    const end = start + length;
    // What the gateway writes has fields with lengths only.
    if (key % 8 !== LENGTH_DELIMITED || end > payload.length) return NOTHING;
    if (key >> 3 === METADATA_FIELD) metadata = payload.subarray(start, end);
    at = end;
  }
  return metadata;
}

/** A number of at most 32 bits and where it ends; beyond the payload when it is none. */
function varint(bytes: Uint8Array, from: number): readonly [number, number] {
  let value = 0;
  for (let at = from, scale = 1; at < bytes.length && scale <= 2 ** 28; at++, scale *= 128) {
    const byte = bytes[at] as number;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value, at + 1];
  }
  return [Number.POSITIVE_INFINITY, bytes.length];
}
