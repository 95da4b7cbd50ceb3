/**
 * What this process and the bridge say to each other (streams/jms-bridge): u32 length, little-endian, and a msgpack map whose `is` says what
 * it is.
 */
import type { Json } from "@millrace/engine";
import { Msgpack } from "@millrace/engine/msgpack";

type Settings = Readonly<Record<string, string | number | boolean>>;

/** What a message for a JMS destination is made of. */
export interface WireMessage {
  /** Of a text or of bytes. */
  readonly bytes?: Uint8Array;
  /** Of a map. */
  readonly entries?: Json;
  readonly correlation?: string;
  /** 0 to 9. Default 4, as the API has it. */
  readonly priority?: number;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}

/** To the bridge. */
export type HostFrame =
  | {
      readonly is: "open";
      readonly factory?: string | undefined;
      readonly set: Settings;
      readonly lookup?: string | undefined;
      readonly jndi: Settings;
      readonly jndiFile?: string | undefined;
      readonly system: Settings;
      readonly acknowledge?: string | undefined;
      readonly user?: string | undefined;
      readonly password?: string | undefined;
      readonly clientId?: string | undefined;
      /** Makes the factory, and no connection. */
      readonly dry: boolean;
    }
  | {
      readonly is: "listen";
      readonly kind: string;
      readonly name: string;
      readonly selector?: string | undefined;
      readonly subscription?: string | undefined;
      /** How many may be unsettled. */
      readonly credit: number;
      readonly ids?: string | undefined;
      readonly envelope: boolean;
      readonly bytesMax: number;
    }
  | { readonly is: "settle"; readonly ns: readonly number[] }
  | {
      readonly is: "sender";
      readonly kind: string;
      readonly name: string;
      readonly body: string;
      readonly type?: string | undefined;
      /** 0: never. */
      readonly expiryMs: number;
    }
  | { readonly is: "send"; readonly messages: readonly WireMessage[] }
  | { readonly is: "probe" }
  | { readonly is: "close" };

/** A message that came; one of `bytes`, `entries`, `unfit` (why it cannot be read) and `large` (its length) is there. */
export interface IncomingFrame {
  readonly is: "message";
  /** Its number on this connection, by which it is settled. */
  readonly n: number;
  readonly id?: string | null;
  readonly deliveries?: number;
  readonly about?: Json;
  readonly bytes?: Uint8Array;
  readonly entries?: Json;
  readonly unfit?: string;
  readonly large?: number;
}

/** From the bridge. */
export type BridgeFrame =
  | { readonly is: "hello" }
  | { readonly is: "opened" }
  | { readonly is: "listening" }
  | IncomingFrame
  | { readonly is: "ready" }
  | { readonly is: "sent" }
  | { readonly is: "pong" }
  | { readonly is: "failed"; readonly of: string; readonly code: string; readonly message: string }
  | { readonly is: "ended"; readonly code: string; readonly message: string };

const msgpack = new Msgpack({ isForeign: true });
const HEAD_BYTES = 4;

export function encodeFrame(frame: HostFrame): Uint8Array {
  // What is undefined is left out: the other end knows absence only.
  const packed = msgpack.pack(Object.fromEntries(Object.entries(frame).filter(([, value]) => value !== undefined)));
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + packed.length);
  bytes.writeUInt32LE(packed.length, 0);
  packed.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** Cuts what arrives into frames. */
export class FrameReader {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** How many must be there before it is worth looking. */
  #wanted = HEAD_BYTES;

  read(chunk: Uint8Array): BridgeFrame[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return [];
    const all = Buffer.concat(this.#chunks);
    const frames: BridgeFrame[] = [];
    let from = 0;
    this.#wanted = HEAD_BYTES;
    while (all.length - from >= HEAD_BYTES) {
      const to = from + HEAD_BYTES + all.readUInt32LE(from);
      if (to > all.length) {
        this.#wanted = to - from;
        break;
      }
      // The bridge is ours: it says nothing else.
      frames.push(msgpack.unpack(all.subarray(from + HEAD_BYTES, to)) as BridgeFrame);
      from = to;
    }
    this.#chunks = from === all.length ? [] : [all.subarray(from)];
    this.#bytes = all.length - from;
    return frames;
  }
}
