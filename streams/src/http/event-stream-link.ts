/** One response that is a stream of events, over which its bytes come; they can be held back. */
import type { Readable } from "node:stream";
import { type Env, httpClientError, messageOf } from "@millrace/engine";
import type { Agent, Dispatcher } from "undici";
import { httpError } from "./errors.ts";
import type { GuardedDialer } from "./guarded-dialer.ts";
import { harmless, isRedirect, REDIRECTS_MAX, reasonOf, redirectTarget } from "./guarded-http-client.ts";
import type { WebCaller } from "./web-caller.ts";

/** How much of an answer that is no stream is read, to be shown. */
const REFUSAL_BYTES_MAX = 4096;
const EVENT_STREAM = /^text\/event-stream\b/i;

interface OpenOptions {
  readonly caller: WebCaller;
  readonly dialer: GuardedDialer;
  readonly env: Env;
  /** Of this request, beside those of the node. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export class EventStreamLink {
  readonly body: Readable;
  /** Resolves, with the reason if there is one, when the stream has ended. */
  readonly ended: Promise<unknown>;
  /** Monotonic ms at which the last byte came. */
  lastByteMs: number;
  readonly #agent: Agent;
  readonly #ending = new AbortController();
  #end: (reason: unknown) => void = () => undefined;

  private constructor(body: Readable, agent: Agent, env: Env) {
    this.body = body;
    this.#agent = agent;
    this.lastByteMs = env.clock.monotonic();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    body.on("data", () => {
      this.lastByteMs = env.clock.monotonic();
    });
    // Nothing is read before somebody listens.
    body.pause();
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** @throws HTTP-STATUS, HTTP-CREDENTIALS, HTTP-STREAM, HTTP-UNREACHABLE, HTTP-ADDRESS, HTTP-REDIRECT */
  static async open(options: OpenOptions): Promise<EventStreamLink> {
    const agent = await options.dialer.agent();
    try {
      const first = await respond(agent, options);
      const isRefused = first.statusCode === 401 && options.caller.renew();
      if (isRefused) first.body.destroy();
      const response = isRefused ? await respond(agent, options) : first;
      await requireStream(response, options.caller);
      return new EventStreamLink(response.body, agent, options.env);
    } catch (error) {
      await agent.destroy();
      throw options.caller.hidden(error);
    }
  }

  async end(reason: unknown): Promise<void> {
    this.#end(reason);
    this.#ending.abort();
    await this.#agent.destroy();
  }
}

/** The answer behind all redirects. */
async function respond(
  agent: Agent,
  { caller, dialer, headers, signal }: OpenOptions,
): Promise<Dispatcher.ResponseData> {
  let url = new URL(caller.options.url);
  let sent: Readonly<Record<string, string>> = { accept: "text/event-stream", ...(await caller.headers()), ...headers };
  for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
    dialer.check(url);
    const response = await agent
      .request({ origin: url.origin, path: url.pathname + url.search, method: "GET", headers: sent, signal })
      .catch((cause: unknown) => {
        signal.throwIfAborted();
        throw httpClientError("HTTP-UNREACHABLE", `${caller.name} cannot be reached: ${reasonOf(cause)}`, { cause });
      });
    // Whoever takes it listens for what ends it; until then nobody does.
    response.body.on("error", () => undefined);
    if (!isRedirect(response.statusCode, "GET")) return response;
    response.body.destroy();
    const { location } = response.headers;
    const next = redirectTarget(url, Array.isArray(location) ? location[0] : location);
    if (next.origin !== url.origin) sent = harmless(sent);
    url = next;
  }
  throw httpClientError("HTTP-REDIRECT", `${caller.name} redirects more than ${REDIRECTS_MAX} times`);
}

async function requireStream({ statusCode, headers, body }: Dispatcher.ResponseData, caller: WebCaller): Promise<void> {
  const type = String(headers["content-type"] ?? "");
  if (statusCode === 200 && EVENT_STREAM.test(type)) return;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes >= REFUSAL_BYTES_MAX) break;
  }
  body.destroy();
  const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  if (statusCode !== 200) caller.accepted({ status: statusCode, headers: plain, body: Buffer.concat(parts) });
  throw httpError("HTTP-STREAM", `${caller.name} answered with \`${type}\`, which is no stream of events`);
}

export function endOf(error: unknown, name: string, retryAfterMs: number | undefined): Error {
  const why = error === undefined ? "" : `: ${messageOf(error)}`;
  return httpClientError("HTTP-BROKEN", `the stream of ${name} ended${why}`, {
    ...(error === undefined ? {} : { cause: error }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
