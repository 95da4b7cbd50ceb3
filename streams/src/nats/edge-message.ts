/** A transport message as the body of a NATS message: `u32` length of the headers, the headers as JSON, the body. */
import { type TransportMessage, transportError } from "@millrace/engine";

const LENGTH_BYTES = 4;

export function encodeMessage({ headers, body }: TransportMessage): Uint8Array {
  const head = Buffer.from(JSON.stringify(headers));
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + head.length + body.length);
  bytes.writeUInt32BE(head.length, 0);
  head.copy(bytes, LENGTH_BYTES);
  bytes.set(body, LENGTH_BYTES + head.length);
  return bytes;
}

/** @throws TRANSPORT-PROTOCOL */
export function decodeMessage(bytes: Uint8Array): TransportMessage {
  try {
    const end = LENGTH_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    const headers = JSON.parse(Buffer.from(bytes.subarray(LENGTH_BYTES, end)).toString()) as Record<string, string>;
    // The client's buffer is used again.
    return { headers, body: bytes.slice(end) };
  } catch (cause) {
    throw transportError("TRANSPORT-PROTOCOL", "a message of an edge cannot be read", { cause });
  }
}
