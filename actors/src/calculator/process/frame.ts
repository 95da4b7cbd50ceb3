/**
 * Frames of the calculator protocol `abacus/1` (native/sdk/PROTOCOL.md): u32 length, little-endian, of what follows; a byte
 * that says what it is; a msgpack map. Unknown fields are skipped, so that either side may be newer.
 */
import type { Json, Place, StateEvent } from "@millrace/engine";
import { Msgpack } from "@millrace/engine/msgpack";
import { invariant } from "@millrace/engine/worker";
import type { PlacedPayload } from "../calculator-module.ts";

export const PROTOCOL = "abacus/1";
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Codes on the wire. */
const TYPES = {
  hello: 1,
  welcome: 2,
  ready: 3,
  refused: 4,
  credit: 5,
  batch: 6,
  result: 7,
  cancel: 8,
  snapshot: 9,
  state: 10,
  restore: 11,
  ping: 12,
  pong: 13,
  drain: 14,
  bye: 15,
} as const;
type FrameType = keyof typeof TYPES;
const NAMES = new Map<number, FrameType>(Object.entries(TYPES).map(([name, code]) => [code, name as FrameType]));

export interface FailureReport {
  readonly code: string;
  readonly msg: string;
  readonly place?: Place | null;
}

/** What became of a row: its messages, or why there are none. `null` is no message. */
export type WireOutcome = null | readonly Json[] | FailureReport;

/** From the host to the worker. */
export type HostFrame =
  | {
      readonly is: "welcome";
      readonly proto: string;
      /** Absolute path of the author's file. */
      readonly file: string;
      /** Name in the file, where it holds several. */
      readonly export: string | null;
      readonly config: Json;
      readonly graph: string;
      readonly node: string;
      readonly limits: { readonly deadlineMs: number; readonly memoryMib: number; readonly frameBytes: number };
    }
  | {
      readonly is: "batch";
      readonly id: number;
      /** Time of the step in ms since 1970. */
      readonly at: number;
      readonly deadlineMs: number;
      readonly rows: readonly Json[];
      /** Where the payloads lie that rows name, by their SHA-256; absent: they name none. */
      readonly payloads?: Readonly<Record<string, PlacedPayload>>;
    }
  | { readonly is: "cancel"; readonly id: number }
  | { readonly is: "snapshot"; readonly id: number }
  | { readonly is: "restore"; readonly state: StateEvent }
  | { readonly is: "ping"; readonly n: number }
  | { readonly is: "drain" };

/** From the worker to the host. */
export type WorkerFrame =
  | { readonly is: "hello"; readonly proto: string; readonly lang: string; readonly sdk: string }
  | {
      readonly is: "ready";
      readonly name: string;
      readonly stateful: boolean;
      readonly details: Json;
      /** Rows that may be under way at once. */
      readonly credit: number;
    }
  | ({ readonly is: "refused" } & FailureReport)
  | { readonly is: "credit"; readonly rows: number }
  | {
      readonly is: "result";
      readonly id: number;
      /** Index of the first row that this is about. */
      readonly from: number;
      readonly out: readonly WireOutcome[];
      /** No more will be said of the batch, whether all its rows were calculated or not. */
      readonly end: boolean;
      /** Payloads that were opened since the last result, and those of them that were copied. Default 0. */
      readonly opens?: number;
      readonly copies?: number;
      /** Messages of `out` have payloads with their bytes in them. Default false. */
      readonly drafts?: boolean;
    }
  | { readonly is: "state"; readonly id: number; readonly state: StateEvent }
  | { readonly is: "pong"; readonly n: number }
  | { readonly is: "bye"; readonly reason: string };

export type Frame = HostFrame | WorkerFrame;

const msgpack = new Msgpack({ isForeign: true });

const HEAD_BYTES = 5;

export function encodeFrame({ is, ...body }: Frame): Uint8Array {
  const packed = msgpack.pack(body);
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + packed.length);
  bytes.writeUInt32LE(packed.length + 1, 0);
  bytes[4] = TYPES[is];
  packed.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** Bytes that a row takes in a batch. */
export function packedBytes(row: Json): number {
  return msgpack.pack(row).length;
}

/** Thrown for bytes that are no frame. */
export class FrameError extends Error {}

/** Cuts a stream of bytes into frames. What is inside of them is not checked here. */
export class FrameReader {
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  /** @throws FrameError the bytes cannot be the protocol */
  *read(chunk: Uint8Array): Generator<Frame> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      if (this.#bytes < HEAD_BYTES) return;
      const length = Buffer.from(this.#peek(HEAD_BYTES)).readUInt32LE(0);
      if (length < 1 || length > FRAME_BYTES_MAX) throw new FrameError(`a frame of ${length} bytes`);
      if (this.#bytes < 4 + length) return;
      yield decode(this.#take(4 + length).subarray(4));
    }
  }

  /** The first bytes, in one piece. */
  #peek(n: number): Uint8Array {
    const [first] = this.#chunks;
    if (first !== undefined && first.length < n) this.#chunks = [Buffer.concat(this.#chunks)];
    return (this.#chunks[0] as Uint8Array).subarray(0, n);
  }

  #take(n: number): Uint8Array {
    const taken = this.#peekAll(n);
    const rest = (this.#chunks[0] as Uint8Array).subarray(n);
    this.#chunks[0] = rest;
    if (rest.length === 0) this.#chunks.shift();
    this.#bytes -= n;
    return taken;
  }

  #peekAll(n: number): Uint8Array {
    invariant(this.#bytes >= n, "only whole frames are taken");
    return this.#peek(n);
  }
}

function decode(frame: Uint8Array): Frame {
  const is = NAMES.get(frame[0] as number);
  if (is === undefined) throw new FrameError(`a frame of type ${frame[0]}`);
  if (!isMap(frame[1])) throw new FrameError(`a ${is} frame without a map`);
  try {
    // Fields are checked by those who use them: a frame of a worker is input.
    return { ...(msgpack.unpack(frame.subarray(1)) as object), is } as Frame;
  } catch (cause) {
    throw new FrameError(`a ${is} frame that is not msgpack`, { cause });
  }
}

function isMap(code: number | undefined): boolean {
  return code !== undefined && ((code >= 0x80 && code <= 0x8f) || code === 0xde || code === 0xdf);
}
