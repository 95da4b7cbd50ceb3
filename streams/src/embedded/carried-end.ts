/** What is kept of the last event of a stream when what is below the base goes, and how it stands in the index. */
import { numberOfKey, positionKey } from "./index-keys.ts";

/** The last event of a stream. */
export interface CarriedEnd {
  readonly revision: number;
  /** Number of its type. */
  readonly type: number;
  readonly schemaVersion: number;
  /** The whole event, of a stream of metadata. */
  readonly record: Uint8Array | undefined;
}

/** What a carried end takes beside its event; a multiple of 8, as records are. */
const CARRIED_BYTES = 16;

export function encodeCarried({ revision, type, schemaVersion, record }: CarriedEnd): Buffer {
  const value = Buffer.alloc(CARRIED_BYTES + (record?.length ?? 0));
  positionKey(revision).copy(value, 0);
  value.writeUInt32BE(type, 8);
  value.writeUInt16BE(schemaVersion, 12);
  if (record !== undefined) value.set(record, CARRIED_BYTES);
  return value;
}

export function decodeCarried(value: Uint8Array): CarriedEnd {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return {
    revision: numberOfKey(bytes, 0),
    type: bytes.readUInt32BE(8),
    schemaVersion: bytes.readUInt16BE(12),
    record: bytes.length > CARRIED_BYTES ? bytes.subarray(CARRIED_BYTES) : undefined,
  };
}
