/**
 * One gRPC call on an HTTP/2 stream: five bytes of prefix and a message, over and over
 * (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Nothing is buffered for a slow peer: `send` resolves when the
 * stream takes more, and messages are read only when they are asked for.
 */
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Turns } from "@millrace/engine";
import { eventStoreError } from "./errors.ts";
import { type GrpcStatus, OK } from "./grpc-status.ts";

const PREFIX_BYTES = 5;
const HEADERS: OutgoingHttpHeaders = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": "identity",
};
const MESSAGE_CHARS_MAX = 2000;

export class GrpcCall {
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the call is over for whatever reason. */
  readonly signal: AbortSignal;
  readonly #stream: ServerHttp2Stream;
  readonly #messageBytesMax: number;
  readonly #turns: Turns;
  readonly #ended = new AbortController();
  #status: GrpcStatus | undefined;

  /** @param messageBytesMax longest message that is read */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, messageBytesMax: number, turns: Turns) {
    this.headers = headers;
    this.signal = this.#ended.signal;
    this.#stream = stream;
    this.#messageBytesMax = messageBytesMax;
    this.#turns = turns;
    stream.on("close", () => this.#ended.abort());
    // What goes wrong with the connection ends the call; `close` says so.
    stream.on("error", () => {});
    stream.on("wantTrailers", () => this.#sendTrailers());
  }

  /** Address and port that the client reached. */
  get local(): { readonly address: string; readonly port: number } {
    const socket = this.#stream.session?.socket;
    return { address: socket?.localAddress ?? "127.0.0.1", port: socket?.localPort ?? 0 };
  }

  /** Messages of the client until it has sent its last. @throws EVENTSTORE-TOO-LARGE, EVENTSTORE-INVALID */
  async *messages(): AsyncGenerator<Buffer> {
    const pending = new Pending();
    try {
      for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) {
        pending.add(chunk as Buffer);
        for (let message = this.#next(pending); message !== undefined; message = this.#next(pending)) yield message;
      }
    } catch (thrown) {
      if (!this.#isGone()) throw thrown;
    }
    // A reset ends the messages as the client's last word does. What it was about to ask must not be done.
    if (this.#isGone()) this.#ended.abort();
    if (pending.size > 0 && !this.signal.aborted)
      throw eventStoreError("EVENTSTORE-INVALID", "the request ends within a message");
  }

  /**
   * The only message of a call that has one. Waits for the client's end: a call that is answered before would be reset, which
   * some clients take for a failure of the answer.
   */
  async message(): Promise<Buffer> {
    let first: Buffer | undefined;
    for await (const message of this.messages()) first ??= message;
    if (first !== undefined) return first;
    throw eventStoreError("EVENTSTORE-INVALID", "the request holds no message");
  }

  /** False once the call is over. */
  send(message: Uint8Array): Promise<boolean> {
    return this.sendAll([message]);
  }

  /** Sends messages in one write. Resolves when the stream takes more; false once the call is over. */
  async sendAll(messages: readonly Uint8Array[]): Promise<boolean> {
    if (this.#isGone() || this.#status !== undefined) return false;
    if (!this.#stream.headersSent) this.#stream.respond(HEADERS, { waitForTrailers: true });
    if (this.#stream.write(prefixed(messages))) return true;
    await this.#drained();
    return !this.signal.aborted;
  }

  finish(status: GrpcStatus = OK): void {
    if (this.#isGone() || this.#status !== undefined) return;
    this.#status = status;
    if (this.#stream.headersSent) this.#stream.end();
    else {
      this.#stream.respond({ ...HEADERS, ...trailersOf(status) }, { endStream: true });
      this.#leave();
    }
  }

  /** True once the client reset the call or its connection is lost. */
  #isGone(): boolean {
    return this.signal.aborted || this.#stream.closed || this.#stream.aborted || this.#stream.destroyed;
  }

  #sendTrailers(): void {
    this.#stream.sendTrailers(trailersOf(this.#status ?? OK));
    this.#leave();
  }

  /** A client may be sending still what nobody will read. */
  #leave(): void {
    this.#stream.resume();
    this.#turns.yieldToIo(() => {
      if (!this.#stream.closed && !this.#stream.readableEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  #next(pending: Pending): Buffer | undefined {
    if (pending.size < PREFIX_BYTES) return undefined;
    const prefix = pending.peek(PREFIX_BYTES);
    if (prefix[0] !== 0) throw eventStoreError("EVENTSTORE-UNIMPLEMENTED", "compressed messages are not read");
    const length = prefix.readUInt32BE(1);
    if (length > this.#messageBytesMax) {
      const details = { appendBytesMax: this.#messageBytesMax };
      throw eventStoreError("EVENTSTORE-TOO-LARGE", `a message of ${length} bytes is too large`, { details });
    }
    if (pending.size < PREFIX_BYTES + length) return undefined;
    return pending.take(PREFIX_BYTES + length).subarray(PREFIX_BYTES);
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#stream.off("drain", done);
        this.signal.removeEventListener("abort", done);
        resolve();
      };
      this.#stream.on("drain", done);
      this.signal.addEventListener("abort", done);
      if (this.signal.aborted) done();
    });
  }
}

/** Bytes that arrived and were not taken; joined only when a whole message is there. */
class Pending {
  #chunks: Buffer[] = [];
  size = 0;

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.size += chunk.length;
  }

  peek(bytes: number): Buffer {
    if ((this.#chunks[0]?.length ?? 0) < bytes) this.#chunks = [Buffer.concat(this.#chunks)];
    return (this.#chunks[0] as Buffer).subarray(0, bytes);
  }

  take(bytes: number): Buffer {
    const whole = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.size = whole.length - bytes;
    this.#chunks = this.size === 0 ? [] : [whole.subarray(bytes)];
    return whole.subarray(0, bytes);
  }
}

/** Each message behind its length. */
function prefixed(messages: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.allocUnsafe(messages.reduce((sum, { length }) => sum + PREFIX_BYTES + length, 0));
  let at = 0;
  for (const message of messages) {
    at = bytes.writeUInt32BE(message.length, bytes.writeUInt8(0, at));
    bytes.set(message, at);
    at += message.length;
  }
  return bytes;
}

function trailersOf({ code, message, trailers }: GrpcStatus): OutgoingHttpHeaders {
  const safe = Object.entries(trailers).map(([name, value]) => [name, headerText(value)] as const);
  return {
    "grpc-status": String(code),
    ...(message === "" ? {} : { "grpc-message": encoded(message.slice(0, MESSAGE_CHARS_MAX)) }),
    ...Object.fromEntries(safe),
  };
}

/** Header values are printable ASCII; what is not is percent-encoded as in `grpc-message`. */
function headerText(value: string): string {
  return /^[\x20-\x7e]*$/.test(value) ? value : encoded(value);
}

/** Printable ASCII stays as it is but for the percent sign; other characters as the bytes of their UTF-8. */
function encoded(text: string): string {
  const wellFormed = Buffer.from(text, "utf8").toString("utf8");
  return wellFormed.replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent);
}
