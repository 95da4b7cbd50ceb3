/** One WebSocket (RFC 6455), made by us: what is said over it, and whether the other end still answers. */
import type { Socket } from "node:net";
import { type Env, httpClientError, messageOf } from "@millrace/engine";
import type { ClientOptions, RawData, WebSocket } from "ws";
import { httpError } from "./errors.ts";
import type { GuardedDialer } from "./guarded-dialer.ts";
import { reasonOf } from "./guarded-http-client.ts";
import { BYTES_MAX, type WebCaller } from "./web-caller.ts";

interface OpenOptions {
  readonly caller: WebCaller;
  readonly dialer: GuardedDialer;
  readonly env: Env;
  /** Sent at once, in order. */
  readonly greetings: readonly string[];
  readonly signal: AbortSignal;
}

/** The library's word for a message that is larger than it may be. */
const TOO_LARGE = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";
/** How much of a refusal is read, to be shown. */
const REFUSAL_BYTES_MAX = 4096;
const UNAUTHORIZED = 401;

export class SocketLink {
  /** Resolves, with the reason if there is one, when the connection has ended. */
  readonly ended: Promise<unknown>;
  readonly #socket: WebSocket;
  readonly #name: string;
  readonly #ending = new AbortController();
  #end: (reason: unknown) => void = () => undefined;
  #pings = 0;

  private constructor(socket: WebSocket, { name, options }: WebCaller) {
    this.#socket = socket;
    this.#name = name;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    socket.on("error", (error: Error & { code?: string }) => {
      const { bytesMax = BYTES_MAX } = options;
      const message = `a message of ${name} has more than ${bytesMax} bytes`;
      this.end(error.code === TOO_LARGE ? httpError("HTTP-MESSAGE-SIZE", message, { cause: error }) : error);
    });
    socket.on("close", (code, reason) => this.end(closedBy(name, code, reason.toString("utf8"))));
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  get isPaused(): boolean {
    return this.#socket.isPaused;
  }

  /** @throws HTTP-STATUS, HTTP-CREDENTIALS, HTTP-UNREACHABLE, HTTP-ADDRESS */
  static async open(options: OpenOptions): Promise<SocketLink> {
    const { caller } = options;
    try {
      const first = await shakeHands(options);
      const isRefused = typeof first === "number" && caller.renew();
      const second = isRefused ? await shakeHands(options) : first;
      if (typeof second !== "number") return await greeted(second, options);
      caller.accepted({ status: second, headers: {}, body: Buffer.alloc(0) });
      throw httpClientError("HTTP-BROKEN", `${caller.name} answered ${second}`);
    } catch (error) {
      throw caller.hidden(error);
    }
  }

  /** The handshake is over; messages wait until {@link listen}. */
  static over(socket: WebSocket, caller: WebCaller): SocketLink {
    return new SocketLink(socket, caller);
  }

  /** Messages from now on, text or binary, in order. */
  listen(take: (data: Uint8Array) => void): void {
    this.#socket.on("message", (data) => take(bytesOf(data)));
    this.#socket.resume();
  }

  /** What the other end sends stays there. It is not heard to be alive either. */
  hold(isHeld: boolean): void {
    if (this.signal.aborted) return;
    if (isHeld) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Resolves when the text has left this process. */
  send(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(text, (error) => {
        if (error === undefined || error === null) resolve();
        else
          reject(httpClientError("HTTP-BROKEN", `${this.#name} takes nothing: ${messageOf(error)}`, { cause: error }));
      });
    });
  }

  /**
   * Resolves when the other end has answered a ping, for which it has received everything that was sent before.
   * @throws HTTP-BROKEN the connection has ended
   */
  ping(): Promise<void> {
    const socket = this.#socket;
    const question = String(this.#pings++);
    return this.unlessEnded((done, failed) => {
      const heard = (data: Buffer): void => {
        if (data.toString("utf8") === question) done();
      };
      socket.on("pong", heard);
      socket.ping(question, undefined, (error: unknown) => {
        if (error !== undefined && error !== null) failed(error);
      });
      return () => socket.off("pong", heard);
    });
  }

  /**
   * Waits for what `begin` begins, and until the connection ends at most; then what it returns is called.
   * @throws HTTP-BROKEN the connection has ended
   */
  unlessEnded(begin: (done: () => void, failed: (cause: unknown) => void) => () => void): Promise<void> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const failed = (cause?: unknown): void => {
        stop();
        const details = cause === undefined ? {} : { cause };
        reject(httpClientError("HTTP-BROKEN", `the WebSocket of ${this.#name} has ended`, details));
      };
      const isOver = (): void => failed();
      const done = (): void => {
        stop();
        resolve();
      };
      let end: () => void = () => undefined;
      const stop = (): void => {
        signal.removeEventListener("abort", isOver);
        end();
      };
      signal.addEventListener("abort", isOver);
      end = begin(done, failed);
      if (signal.aborted) isOver();
    });
  }

  end(reason: unknown): void {
    this.#end(reason);
    if (this.signal.aborted) return;
    this.#ending.abort();
    this.#socket.terminate();
  }
}

async function greeted(socket: WebSocket, { caller, greetings, signal }: OpenOptions): Promise<SocketLink> {
  const link = SocketLink.over(socket, caller);
  try {
    for (const greeting of greetings) await link.send(greeting);
    signal.throwIfAborted();
    return link;
  } catch (error) {
    link.end(error);
    throw error;
  }
}

/** A connection that is open and held, or the status by which credentials were refused. */
async function shakeHands({ caller, dialer, signal }: OpenOptions): Promise<WebSocket | number> {
  const { WebSocket } = await import("ws");
  const url = new URL(caller.options.url);
  dialer.check(url);
  const headers = await caller.headers();
  signal.throwIfAborted();
  const options: ClientOptions = {
    headers: { ...headers },
    maxPayload: caller.options.bytesMax ?? BYTES_MAX,
    // Compressed messages cost memory before they are known to be too large.
    perMessageDeflate: false,
    createConnection: ((connecting: Parameters<GuardedDialer["socket"]>[0]): Socket =>
      dialer.socket(connecting, url.protocol === "wss:")) as NonNullable<ClientOptions["createConnection"]>,
  };
  const socket = new WebSocket(url, options);
  return new Promise((resolve, reject) => {
    const stop = (): void => socket.terminate();
    signal.addEventListener("abort", stop, { once: true });
    socket.on("error", (cause) => {
      reject(
        signal.aborted
          ? signal.reason
          : httpClientError("HTTP-UNREACHABLE", `${caller.name} cannot be reached: ${reasonOf(cause)}`, { cause }),
      );
    });
    socket.once("open", () => {
      // What comes with the handshake must not be lost before somebody listens.
      socket.pause();
      signal.removeEventListener("abort", stop);
      resolve(socket);
    });
    socket.once("unexpected-response", (request, response) => {
      refusalOf(response, caller).then(resolve, reject);
      response.once("close", () => request.destroy());
    });
  });
}

type Refusal = Parameters<NonNullable<Parameters<WebSocket["on"]>[1]>>[1];

/** A status to try once more with other credentials. @throws HTTP-STATUS, HTTP-CREDENTIALS */
async function refusalOf(response: Refusal, caller: WebCaller): Promise<number> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes >= REFUSAL_BYTES_MAX) break;
  }
  const { statusCode: status = 0, headers } = response;
  response.destroy();
  if (status === UNAUTHORIZED) return status;
  const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  caller.accepted({ status, headers: plain, body: Buffer.concat(parts) });
  throw httpClientError("HTTP-STATUS", `${caller.name} answered ${status} instead of a WebSocket`);
}

function closedBy(name: string, code: number, reason: string): Error {
  const why = reason === "" ? "" : `: ${reason}`;
  return httpClientError("HTTP-BROKEN", `the WebSocket of ${name} was closed with ${code}${why}`);
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}
