/**
 * The `HttpClient` port over undici. Every connection is checked where it leads, not what it is called: names are resolved
 * once for checking and connecting, and the peer of the connected socket is looked at again before anything is written, so
 * that neither a redirect nor a name whose answer changes (DNS rebinding) reaches an address that may not be called.
 *
 * The deadline is one timer over everything. A time-out between bytes, as HTTP libraries have, never ends an answer that
 * comes one byte a second.
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import {
  type Env,
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  httpClientError,
  MillraceError,
  messageOf,
} from "@millrace/engine";
import type { Agent, buildConnector, Dispatcher } from "undici";
import { AddressGuard } from "./address-guard.ts";

export interface GuardedHttpOptions {
  /** Networks that may be called although they are not public. Default none. */
  readonly allow?: readonly string[];
  /** Connections to one origin at most. Default 8. */
  readonly connections?: number;
  /** For connecting, in ms. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** Authorities, as PEM, that certificates are signed by. Default: the system's. */
  readonly ca?: string | undefined;
  /** How names are resolved. Default: the system's way. */
  readonly lookup?: LookupFunction;
}

const REDIRECTS_MAX = 3;
const CONNECT_MS = 5000;
/** What may go to another origin. */
const HARMLESS = new Set(["accept", "content-type"]);

export function guardedHttpClient(options: GuardedHttpOptions, env: Env): HttpClient {
  return new GuardedHttpClient(options, env);
}

class GuardedHttpClient implements HttpClient {
  readonly #options: GuardedHttpOptions;
  readonly #env: Env;
  readonly #guard: AddressGuard;
  #agent: Promise<Agent> | undefined;

  constructor(options: GuardedHttpOptions, env: Env) {
    this.#options = options;
    this.#env = env;
    this.#guard = new AddressGuard(options.allow ?? []);
  }

  async request(request: HttpRequest): Promise<HttpAnswer> {
    const until = this.#env.clock.monotonic() + request.deadlineMs;
    let url = new URL(request.url);
    let headers = request.headers;
    for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
      const leftMs = Math.max(1, until - this.#env.clock.monotonic());
      const answer = await this.#send(url, { ...request, headers, deadlineMs: leftMs });
      if (answer.status !== 307 && answer.status !== 308) return answer;
      const next = targetOf(url, answer.headers.location);
      if (next.origin !== url.origin)
        headers = Object.fromEntries(Object.entries(headers).filter(([name]) => HARMLESS.has(name.toLowerCase())));
      url = next;
    }
    throw httpClientError(
      "HTTP-REDIRECT",
      `${nameOf(new URL(request.url))} redirects more than ${REDIRECTS_MAX} times`,
    );
  }

  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await (await agent)?.destroy();
  }

  async #send(url: URL, request: HttpRequest): Promise<HttpAnswer> {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0 && !this.#guard.permits(host)) throw refused(url, host);
    this.#agent ??= this.#open();
    const agent = await this.#agent;
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(url, request, resolve, reject);
      const timer = this.#env.timers.after(request.deadlineMs, () => exchange.late());
      exchange.onEnd = () => timer.cancel();
      const { method, body } = request;
      const options: Dispatcher.DispatchOptions = {
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: { ...request.headers },
        body: body === undefined ? null : Buffer.from(body.buffer, body.byteOffset, body.length),
      };
      try {
        agent.dispatch(options, exchange);
      } catch (error) {
        exchange.fail(error);
      }
    });
  }

  /** The library is large; only graphs that call should pay for loading it. */
  async #open(): Promise<Agent> {
    const undici = await import("undici");
    const timeout = this.#options.connectTimeoutMs ?? CONNECT_MS;
    const { ca } = this.#options;
    const trusted = ca === undefined ? {} : { ca };
    const connect = undici.buildConnector({ timeout, lookup: this.#lookup as never, ...trusted });
    return new undici.Agent({
      connect: this.#guarded(connect),
      connections: this.#options.connections ?? 8,
      pipelining: 1,
      // One deadline over all, see above.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** Only addresses that may be called are connected to: of a name with both kinds, the others. */
  readonly #lookup = (hostname: string, options: LookupOptions, done: LookupDone): void => {
    const resolve = (this.#options.lookup ?? lookup) as LookupAll;
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return done(error, [] as never);
      const permitted = found.filter(({ address }) => this.#guard.permits(address));
      const [first] = permitted;
      if (first === undefined) done(refusal(hostname, found[0]?.address ?? "no address"), [] as never);
      else if (options.all === true) done(null, permitted as never);
      else done(null, first.address as never, first.family);
    });
  };

  #guarded(connect: buildConnector.connector): buildConnector.connector {
    return (options, done) => {
      connect(options, (error, socket) => {
        if (error || socket === null) return done(error ?? new Error("no socket"), null);
        const { remoteAddress = "" } = socket;
        if (this.#guard.permits(remoteAddress)) return done(null, socket);
        socket.destroy();
        done(refusal(options.hostname, remoteAddress), null);
      });
    };
  }
}

type LookupDone = Parameters<LookupFunction>[2];
type LookupAll = (
  hostname: string,
  options: LookupOptions,
  done: (error: Error | null, found: readonly LookupAddress[]) => void,
) => void;

/** One request under way: gathers the answer, and ends once. */
class Exchange implements Dispatcher.DispatchHandler {
  onEnd: () => void = () => undefined;
  readonly #url: URL;
  readonly #request: HttpRequest;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: MillraceError) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #hasEnded = false;
  #status = 0;
  #headers: Record<string, string> = {};
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(
    url: URL,
    request: HttpRequest,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: MillraceError) => void,
  ) {
    this.#url = url;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#hasEnded) controller.abort(new Error("nobody waits any more"));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHeaders): void {
    this.#status = status;
    for (const [name, value] of Object.entries(headers)) {
      const first = Array.isArray(value) ? value[0] : value;
      if (typeof first === "string") this.#headers[name.toLowerCase()] = first;
    }
    if (Number(this.#headers["content-length"] ?? 0) > this.#request.answerBytesMax) this.#tooLarge();
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#hasEnded) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#request.answerBytesMax) this.#tooLarge();
    else this.#parts.push(chunk);
  }

  onResponseEnd(): void {
    if (!this.#end()) return;
    this.#resolve({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#parts) });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.fail(error);
  }

  late(): void {
    const how = this.#controller === undefined ? "it was not connected to" : `${this.#bytes} bytes of it came`;
    const message = `${nameOf(this.#url)} gave no whole answer in ${Math.round(this.#request.deadlineMs)} ms: ${how}`;
    this.#abort(httpClientError(this.#controller === undefined ? "HTTP-UNREACHABLE" : "HTTP-DEADLINE", message));
  }

  fail(cause: unknown): void {
    if (!this.#end()) return;
    this.#reject(cause instanceof MillraceError ? cause : this.#failure(cause));
  }

  #failure(cause: unknown): MillraceError {
    const wasSent = this.#controller !== undefined;
    const message = wasSent
      ? `${nameOf(this.#url)} ended the connection before its answer was whole: ${messageOf(cause)}`
      : `${nameOf(this.#url)} cannot be connected to: ${reasonOf(cause)}`;
    return httpClientError(wasSent ? "HTTP-BROKEN" : "HTTP-UNREACHABLE", message, { cause });
  }

  #tooLarge(): void {
    const message = `the answer of ${nameOf(this.#url)} has more than ${this.#request.answerBytesMax} bytes`;
    this.#abort(httpClientError("HTTP-ANSWER-SIZE", message));
  }

  #abort(why: MillraceError): void {
    if (!this.#end()) return;
    this.#reject(why);
    this.#controller?.abort(why);
  }

  #end(): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.onEnd();
    return true;
  }
}

type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Without what may be a secret in it: user information and query. */
function nameOf(url: URL): string {
  return url.origin + url.pathname;
}

function targetOf(from: URL, location: string | undefined): URL {
  const broken = (why: string): MillraceError => httpClientError("HTTP-REDIRECT", `${nameOf(from)} redirects ${why}`);
  if (location === undefined) throw broken("to nowhere");
  let to: URL;
  try {
    to = new URL(location, from);
  } catch (cause) {
    throw httpClientError("HTTP-REDIRECT", `${nameOf(from)} redirects to what is no address`, { cause });
  }
  if (to.protocol !== "https:" && to.protocol !== from.protocol) throw broken(`to ${to.protocol}`);
  return to;
}

function refused(url: URL, address: string): MillraceError {
  return refusal(nameOf(url), address);
}

function refusal(name: string, address: string): MillraceError {
  return httpClientError("HTTP-ADDRESS", `${name} leads to ${address}, which may not be called`, {
    details: { address },
  });
}

/** Several addresses were tried: the error itself says nothing. */
function reasonOf(cause: unknown): string {
  return cause instanceof AggregateError ? cause.errors.map(messageOf).join("; ") : messageOf(cause);
}
