/** Event ids: 16 bytes in the log; on the wire `event_store.client.UUID`, as text or as two halves. */
import { eventStoreError } from "./errors.ts";
import type { WireMessage } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

const TEXT = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** @throws EVENTSTORE-INVALID */
export function readUuid(message: WireMessage): Buffer {
  if (!message.has(1)) return uuidBytes(message.text(2));
  const halves = message.message(1);
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64BE(halves.int64(1), 0);
  bytes.writeBigInt64BE(halves.int64(2), 8);
  return bytes;
}

/** @throws EVENTSTORE-INVALID */
export function uuidBytes(text: string): Buffer {
  if (!TEXT.test(text)) throw eventStoreError("EVENTSTORE-INVALID", `"${text.slice(0, 50)}" is not a UUID`);
  return Buffer.from(text.replaceAll("-", ""), "hex");
}

export function isUuid(text: string): boolean {
  return TEXT.test(text);
}

export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function writeUuid(writer: WireWriter, field: number, bytes: Uint8Array, structured: boolean): void {
  if (!structured) {
    writer.message(field, (uuid) => uuid.text(2, uuidText(bytes)));
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  writer.message(field, (uuid) =>
    uuid.message(1, (halves) => halves.uint(1, view.getBigInt64(0)).uint(2, view.getBigInt64(8))),
  );
}
