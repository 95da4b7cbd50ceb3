/**
 * What the two ends of a subscription say to each other. A packet is its length (u32, without itself), one byte that says
 * what it is, and its fields; all big-endian. The receiver dials, one connection per subscription.
 */
import { MillraceError, type TransportMessage, transportError } from "@millrace/engine";

export type Packet =
  /** First packet of the receiver: which subject, and how many messages may come. */
  | { readonly is: "subscribe"; readonly credit: number; readonly subject: string }
  | { readonly is: "credit"; readonly credit: number }
  | { readonly is: "answer"; readonly sequence: number; readonly attempt: number; readonly taken: boolean }
  | ({ readonly is: "message"; readonly sequence: number; readonly attempt: number } & TransportMessage)
  /** Another receiver has taken the subject: do not dial again. */
  | { readonly is: "replaced" };

const SUBSCRIBE = 1;
const CREDIT = 2;
const TAKEN = 3;
const REFUSED = 4;
const MESSAGE = 5;
const REPLACED = 6;

const LENGTH_BYTES = 4;
/** Type, sequence, attempt and the length of the headers. */
const MESSAGE_HEAD_BYTES = 17;
export const HEADERS_BYTES_MAX: number = 64 * 1024;

/** The packet as buffers to be written one after the other; bodies are not copied. */
export function encodePacket(packet: Packet): readonly Uint8Array[] {
  switch (packet.is) {
    case "subscribe": {
      const subject = Buffer.from(packet.subject);
      const head = begin(SUBSCRIBE, 4 + subject.length, 4);
      head.writeUInt32BE(packet.credit, LENGTH_BYTES + 1);
      return [head, subject];
    }
    case "credit": {
      const head = begin(CREDIT, 4, 4);
      head.writeUInt32BE(packet.credit, LENGTH_BYTES + 1);
      return [head];
    }
    case "answer": {
      const head = begin(packet.taken ? TAKEN : REFUSED, 12, 12);
      head.writeDoubleBE(packet.sequence, LENGTH_BYTES + 1);
      head.writeUInt32BE(packet.attempt, LENGTH_BYTES + 9);
      return [head];
    }
    case "message":
      return encodeMessage(packet);
    case "replaced":
      return [begin(REPLACED, 0, 0)];
  }
}

function encodeMessage(packet: Extract<Packet, { is: "message" }>): readonly Uint8Array[] {
  const headers = Buffer.from(JSON.stringify(packet.headers));
  const head = begin(MESSAGE, 16 + headers.length + packet.body.length, 16);
  head.writeDoubleBE(packet.sequence, LENGTH_BYTES + 1);
  head.writeUInt32BE(packet.attempt, LENGTH_BYTES + 9);
  head.writeUInt32BE(headers.length, LENGTH_BYTES + 13);
  return [head, headers, packet.body];
}

/** Length and type, with room for `fieldBytes` more; `bytes` follow the type in all. */
function begin(type: number, bytes: number, fieldBytes: number): Buffer {
  const head = Buffer.alloc(LENGTH_BYTES + 1 + fieldBytes);
  head.writeUInt32BE(1 + bytes, 0);
  head[LENGTH_BYTES] = type;
  return head;
}

/** @throws TRANSPORT-PROTOCOL */
function decodePacket(bytes: Buffer): Packet {
  try {
    switch (bytes[0]) {
      case SUBSCRIBE:
        return { is: "subscribe", credit: bytes.readUInt32BE(1), subject: bytes.toString("utf8", 5) };
      case CREDIT:
        return { is: "credit", credit: bytes.readUInt32BE(1) };
      case TAKEN:
      case REFUSED:
        return {
          is: "answer",
          sequence: bytes.readDoubleBE(1),
          attempt: bytes.readUInt32BE(9),
          taken: bytes[0] === TAKEN,
        };
      case MESSAGE:
        return decodeMessage(bytes);
      case REPLACED:
        return { is: "replaced" };
    }
  } catch (error) {
    throw transportError("TRANSPORT-PROTOCOL", "a packet is cut off or damaged", { cause: error });
  }
  throw transportError("TRANSPORT-PROTOCOL", `a packet of unknown type ${bytes[0]}`);
}

function decodeMessage(bytes: Buffer): Packet {
  const sequence = bytes.readDoubleBE(1);
  const attempt = bytes.readUInt32BE(9);
  const bodyAt = MESSAGE_HEAD_BYTES + bytes.readUInt32BE(13);
  const headers = JSON.parse(bytes.toString("utf8", MESSAGE_HEAD_BYTES, bodyAt)) as TransportMessage["headers"];
  return { is: "message", sequence, attempt, headers, body: new Uint8Array(bytes.subarray(bodyAt)) };
}

/** A peer that sends such a thing is hung up on; any other error is not its fault. */
export function isProtocolError(error: unknown): boolean {
  return error instanceof MillraceError && error.code === "TRANSPORT-PROTOCOL";
}

/** Cuts a stream of bytes into packets. */
export class PacketReader {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #buffered = 0;

  /** Longer packets are refused before they are buffered. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @throws TRANSPORT-PROTOCOL */
  *read(chunk: Buffer): Generator<Packet> {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    while (this.#buffered >= LENGTH_BYTES) {
      const length = this.#peek(LENGTH_BYTES).readUInt32BE(0);
      if (length < 1 || length > this.#bytesMax) {
        throw transportError(
          "TRANSPORT-PROTOCOL",
          `a packet of ${length} bytes; at most ${this.#bytesMax} are allowed`,
        );
      }
      if (this.#buffered < LENGTH_BYTES + length) return;
      yield decodePacket(this.#take(LENGTH_BYTES + length).subarray(LENGTH_BYTES));
    }
  }

  /** The first buffered bytes in one piece, at least `length` of them. */
  #peek(length: number): Buffer {
    const first = this.#chunks[0] as Buffer;
    if (first.length >= length) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #take(length: number): Buffer {
    const first = this.#peek(length);
    if (first.length === length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(length);
    this.#buffered -= length;
    return first.subarray(0, length);
  }
}
