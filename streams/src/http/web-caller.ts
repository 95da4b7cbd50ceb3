/** Asks a service for something, with the credentials and headers of a node, and says what is wrong when it does not get it. */
import {
  type Credentials,
  credentialsOf,
  type Env,
  type HttpAnswer,
  type HttpAuth,
  type HttpClient,
  httpClientError,
  MillraceError,
  retryAfterMs,
} from "@millrace/engine";
import { hidden } from "../resilience/hidden.ts";
import { guardedHttpClient } from "./guarded-http-client.ts";

export interface WebCallOptions {
  /** With its secrets. */
  readonly url: string;
  readonly auth?: HttpAuth;
  /** Of every request; may hold secrets. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Networks that may be called although they are not public. Default none. */
  readonly allow?: readonly string[];
  /** For one request and its whole answer, or for connecting, in ms. Default 10 000. */
  readonly deadlineMs?: number;
  /** Most bytes of an answer, an event or a message. Default 16 MiB. */
  readonly bytesMax?: number;
  /** Texts that must never be shown or logged, as they are in the address and the headers. */
  readonly secrets?: readonly string[];
}

export const DEADLINE_MS = 10_000;
export const BYTES_MAX = 16 * 1024 * 1024;
const SAID_CHARS = 300;

export class WebCaller {
  readonly options: WebCallOptions;
  /** The address without its query and without secrets; for people. */
  readonly name: string;
  readonly #client: HttpClient;
  readonly #credentials: Credentials;

  constructor(options: WebCallOptions, env: Env) {
    this.options = options;
    this.#client = guardedHttpClient({ allow: options.allow ?? [] }, env);
    this.#credentials = credentialsOf(options.auth, this.#client, env);
    const { origin, protocol, host, pathname } = new URL(options.url);
    // A WebSocket's address has no origin for the URL library.
    this.name = this.shown((origin === "null" ? `${protocol}//${host}` : origin) + pathname);
  }

  /** Whether other credentials may be had, after these were refused. */
  renew(): boolean {
    return this.#credentials.renew();
  }

  /** @throws HTTP-TOKEN, HTTP-CREDENTIALS (transient) */
  async headers(): Promise<Readonly<Record<string, string>>> {
    return { ...this.options.headers, ...(await this.#credentials.headers()) };
  }

  /**
   * The answer to a GET, if its status is 200, 204 because there is nothing, or 304 to a question with a condition.
   *
   * @throws HTTP-STATUS, HTTP-CREDENTIALS (transient, with the wait that the service asks for) and what an `HttpClient` throws
   */
  async get(url: string, extra: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const answer = await this.#ask(url, extra);
    const isRefused = answer.status === 401 && this.renew();
    const last = isRefused ? await this.#ask(url, extra) : answer;
    return last.status === 204 ? last : this.accepted(last);
  }

  /** @throws HTTP-STATUS, HTTP-CREDENTIALS */
  accepted(answer: HttpAnswer): HttpAnswer {
    const { status, headers, body } = answer;
    if (status === 200 || status === 304) return answer;
    const said = this.shown(Buffer.from(body.subarray(0, 4 * SAID_CHARS)).toString("utf8")).trim();
    const message = `${this.name} answered ${status}${said === "" ? "" : `: ${said.slice(0, SAID_CHARS)}`}`;
    const waitMs = retryAfterMs(headers["retry-after"], headers.date);
    const code = status === 401 || status === 403 || status === 407 ? "HTTP-CREDENTIALS" : "HTTP-STATUS";
    throw httpClientError(code, message, {
      details: { status },
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    });
  }

  /** The text without secrets. */
  shown(text: string): string {
    return hidden(text, [...(this.options.secrets ?? []), ...(this.#credentials?.secrets ?? [])]);
  }

  /** The same error without secrets in its message. */
  hidden(error: unknown): unknown {
    if (!(error instanceof MillraceError) || this.shown(error.message) === error.message) return error;
    const { code, kind, place, retryAfterMs: waitMs } = error;
    return new MillraceError(code, kind, this.shown(error.message), {
      place,
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    });
  }

  /** Ends what is under way. It may be used again after that. */
  async close(): Promise<void> {
    await this.#client.close();
  }

  async #ask(url: string, extra: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const { deadlineMs = DEADLINE_MS, bytesMax: answerBytesMax = BYTES_MAX } = this.options;
    // What the graph says is asked for, `accept` above all, is meant.
    const headers = { ...extra, ...(await this.headers()) };
    try {
      return await this.#client.request({ method: "GET", url, headers, deadlineMs, answerBytesMax });
    } catch (error) {
      throw this.hidden(error);
    }
  }
}
