/**
 * The `HttpClient` port over undici. Redirects are followed here, each to where it may lead.
 *
 * The deadline is one timer over everything. A time-out between bytes, as HTTP libraries have, never ends an answer that
 * comes one byte a second.
 */
import {
  type Env,
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  httpClientError,
  MillraceError,
  messageOf,
} from "@millrace/engine";
import type { Agent, Dispatcher } from "undici";
import { GuardedDialer, type GuardedHttpOptions } from "./guarded-dialer.ts";

export const REDIRECTS_MAX = 3;
/** What no secret is in. Whoever is redirected goes on where it was, so the place goes with it. */
const HARMLESS = new Set([
  "accept",
  "cache-control",
  "content-type",
  "if-modified-since",
  "if-none-match",
  "last-event-id",
]);
/** A list that may be said in several lines, which are one (RFC 9110 §5.3). */
const LISTS = new Set(["link"]);

export function guardedHttpClient(options: GuardedHttpOptions, env: Env): HttpClient {
  return new GuardedHttpClient(options, env);
}

class GuardedHttpClient implements HttpClient {
  readonly #env: Env;
  readonly #dialer: GuardedDialer;
  #agent: Promise<Agent> | undefined;

  constructor(options: GuardedHttpOptions, env: Env) {
    this.#env = env;
    this.#dialer = new GuardedDialer(options);
  }

  async request(request: HttpRequest): Promise<HttpAnswer> {
    const until = this.#env.clock.monotonic() + request.deadlineMs;
    let url = new URL(request.url);
    let headers = request.headers;
    for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
      const leftMs = Math.max(1, until - this.#env.clock.monotonic());
      const answer = await this.#send(url, { ...request, headers, deadlineMs: leftMs });
      if (!isRedirect(answer.status, request.method)) return answer;
      const next = redirectTarget(url, answer.headers.location);
      if (next.origin !== url.origin) headers = harmless(headers);
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
    this.#dialer.check(url);
    this.#agent ??= this.#dialer.agent();
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
}

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
      const key = name.toLowerCase();
      const said = Array.isArray(value) ? (LISTS.has(key) ? value.join(", ") : value[0]) : value;
      if (typeof said === "string") this.#headers[key] = said;
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

/** The older kinds turn a POST into a GET, which no service means. */
export function isRedirect(status: number, method: string): boolean {
  return status === 307 || status === 308 || (method === "GET" && status >= 301 && status <= 303);
}

/** What of the headers may go to another origin. */
export function harmless(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => HARMLESS.has(name.toLowerCase())));
}

type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Without what may be a secret in it: user information and query. */
export function nameOf(url: URL): string {
  return url.origin + url.pathname;
}

export function redirectTarget(from: URL, location: string | undefined): URL {
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

/** Several addresses were tried: the error itself says nothing. */
export function reasonOf(cause: unknown): string {
  return cause instanceof AggregateError ? cause.errors.map(messageOf).join("; ") : messageOf(cause);
}
