/** Event ids: 16 bytes in the log; on the wire `event_store.client.UUID`, as text or as two halves. */
import { eventStoreError } from "./errors.ts";
import type { WireMessage } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

const UUID_BYTES = 16;
const DASH = 0x2d;

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
  const bytes = parsed(text);
  if (bytes === undefined) throw eventStoreError("EVENTSTORE-INVALID", `"${text.slice(0, 50)}" is not a UUID`);
  return bytes;
}

export function isUuid(text: string): boolean {
  return parsed(text) !== undefined;
}

/** 32 hexadecimal digits; behind the 8th, 12th, 16th and 20th there may be a dash. */
function parsed(text: string): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(UUID_BYTES);
  let at = 0;
  for (let i = 0; i < UUID_BYTES; i++) {
    if (i >= 4 && i <= 10 && i % 2 === 0 && text.charCodeAt(at) === DASH) at++;
    const byte = (digitAt(text, at) << 4) | digitAt(text, at + 1);
    if (byte < 0) return undefined;
    bytes[i] = byte;
    at += 2;
  }
  return at === text.length ? bytes : undefined;
}

/** -1 when there is none. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
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
