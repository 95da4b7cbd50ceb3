/**
 * Where a webhook posts to, over the layer of all connections. Connecting is posting: what waits to be delivered is posted to one host
 * after the other until one takes it, so a host that answers and takes nothing counts as one that is away, and nothing is ever posted
 * just to see whether somebody is there.
 */
import { type ConnectionStatus, type Env, engineError, MillraceError, messageOf, retryAfterMs } from "@millrace/engine";
import type { Agent, Dispatcher } from "undici";
import { Connection } from "../resilience/connection.ts";
import { hidden } from "../resilience/hidden.ts";
import type { ResiliencePolicy } from "../resilience/policy.ts";
import { httpError } from "./errors.ts";
import { GuardedDialer } from "./guarded-dialer.ts";

export interface WebhookTargetOptions {
  /** With secrets; one service, in order of preference. At least one. */
  readonly urls: readonly string[];
  /** Only public addresses are called, and those in these networks. Absent: whatever the host reaches. */
  readonly allow?: readonly string[];
  /** For connecting, for an answer to begin, and for the rest of it, in ms. Default 10 000. */
  readonly timeoutMs?: number;
  /** Texts of the addresses that must never be shown. */
  readonly secrets?: readonly string[];
  readonly policy?: Partial<ResiliencePolicy> | undefined;
}

export interface WebhookRequest {
  readonly body: string | Uint8Array;
  /** Made anew for each attempt: a signature says when it was made. */
  headers(): Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 10_000;
/** The client's own time is up before that of the layer, and says more. */
const MARGIN_MS = 1000;
/** How much of a refusal is shown. */
const ANSWER_CHARS = 500;
const UTF8_BYTES_MAX = 4;

export class WebhookTarget {
  readonly #options: WebhookTargetOptions;
  readonly #env: Env;
  readonly #timeoutMs: number;
  /** By the name that people see. */
  readonly #urls: ReadonlyMap<string, string>;
  readonly #connection: Connection<WebhookLink>;
  /** What is to be posted. */
  #request: WebhookRequest | undefined;
  /** Of the newest host that did not take it. */
  #failure: MillraceError | undefined;

  constructor(options: WebhookTargetOptions, env: Env) {
    this.#options = options;
    this.#env = env;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#urls = named(options);
    this.#connection = new Connection<WebhookLink>({
      name: nameOf(options),
      endpoints: [...this.#urls.keys()],
      env,
      policy: { ...options.policy, connectTimeoutMs: 3 * this.#timeoutMs + MARGIN_MS },
      driver: {
        connect: (endpoint, signal) => this.#connect(endpoint, signal),
        // It took what it was sent last; what is posted just to ask would be a message.
        probe: () => Promise.resolve(),
        // What breaks shows when the next request is posted.
        ended: () => new Promise(() => undefined),
        disconnect: (link) => link.close(),
      },
    });
  }

  get status(): ConnectionStatus {
    return this.#connection.status;
  }

  /**
   * Resolves when a host has taken the request.
   *
   * @throws SINK-FAILED, CONNECTION-SUSPENDED (transient, with the wait that is asked for), SINK-REFUSED (terminal)
   */
  async post(request: WebhookRequest): Promise<void> {
    this.#request = request;
    try {
      const link = await this.#connected();
      const first = link.takeFirst();
      if (first === undefined) await this.#postOver(link, request);
      else if (first !== "taken") throw first;
    } finally {
      this.#request = undefined;
    }
  }

  async close(): Promise<void> {
    await this.#connection.disconnect();
  }

  async #connected(): Promise<WebhookLink> {
    try {
      return await this.#connection.acquire();
    } catch (cause) {
      const last = this.#failure;
      if (!(cause instanceof MillraceError) || cause.code !== "CONNECTION-FAILED" || last === undefined) throw cause;
      throw engineError("SINK-FAILED", this.status.reason, {
        cause,
        ...(cause.retryAfterMs === undefined ? {} : { retryAfterMs: cause.retryAfterMs }),
        details: { ...last.details, ...cause.details },
      });
    }
  }

  async #connect(endpoint: string, signal: AbortSignal): Promise<WebhookLink> {
    const request = this.#request;
    if (request === undefined) throw new Error("there is nothing to post");
    let link: WebhookLink | undefined;
    try {
      const agent = await this.#agent(endpoint);
      signal.throwIfAborted();
      link = new WebhookLink(endpoint, agent);
      signal.addEventListener("abort", () => void link?.close(), { once: true });
      await this.#send(link, request);
    } catch (error) {
      // A host that refuses a message is there.
      if (link === undefined || !isRefusal(error)) {
        await link?.close();
        throw this.#noted(error);
      }
      link.first = error;
    }
    return link;
  }

  async #postOver(link: WebhookLink, request: WebhookRequest): Promise<void> {
    try {
      await this.#send(link, request);
    } catch (error) {
      if (isRefusal(error)) throw error;
      const { message, details, retryAfterMs: waitMs } = this.#noted(error);
      const said = `${link.endpoint}: ${message}`;
      const options = { cause: error, ...(details === undefined ? {} : { details }) };
      this.#connection.giveUp(
        link,
        engineError("SINK-FAILED", said, waitMs === undefined ? options : { ...options, retryAfterMs: waitMs }),
      );
      throw engineError("SINK-FAILED", said, { ...options, retryAfterMs: this.#connection.waitMs });
    }
  }

  #noted(error: unknown): MillraceError {
    const failure = error instanceof MillraceError ? error : engineError("SINK-FAILED", messageOf(error));
    const { code, kind, details, cause, retryAfterMs: waitMs } = failure;
    this.#failure = new MillraceError(code, kind, this.#shown(failure.message), {
      cause,
      ...(details === undefined ? {} : { details }),
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    });
    return this.#failure;
  }

  /** Loading the library takes 45 ms, which only graphs that post should pay. */
  async #agent(endpoint: string): Promise<Agent> {
    const { allow } = this.#options;
    const timeout = this.#timeoutMs;
    if (allow !== undefined) {
      const dialer = new GuardedDialer({ allow, connections: 1, connectTimeoutMs: timeout });
      dialer.check(new URL(this.#urlOf(endpoint)));
      return dialer.agent();
    }
    const { Agent } = await import("undici");
    return new Agent({ connect: { timeout }, connections: 1 });
  }

  async #send({ endpoint, agent: dispatcher }: WebhookLink, { body, headers }: WebhookRequest): Promise<void> {
    const { request } = await import("undici");
    const limits = { headersTimeout: this.#timeoutMs, bodyTimeout: this.#timeoutMs };
    const url = this.#urlOf(endpoint);
    try {
      await this.#judge(
        endpoint,
        await request(url, { method: "POST", body, headers: headers(), dispatcher, ...limits }),
      );
    } catch (cause) {
      if (cause instanceof MillraceError && cause.code.startsWith("SINK-")) throw cause;
      throw engineError("SINK-FAILED", `no answer: ${messageOf(cause)}`, { cause });
    }
  }

  async #judge(endpoint: string, { statusCode, headers, body }: Dispatcher.ResponseData): Promise<void> {
    if (statusCode >= 200 && statusCode < 300) return this.#skip(body);
    const details = { status: statusCode, answer: this.#shown(await this.#beginningOf(body)) };
    const message = `answered ${statusCode}`;
    // No message is to blame, and none would fare better: somebody must correct the secret, here or there.
    if (isOfCredentials(statusCode))
      throw engineError("SINK-FAILED", `${message}: it does not accept the credentials`, { details });
    if (!isTransient(statusCode)) throw httpError("SINK-REFUSED", `${endpoint} ${message}`, { details });
    const waitMs = retryAfterMs(headers["retry-after"], headers.date);
    throw engineError("SINK-FAILED", message, { details, ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }) });
  }

  /** The messages are taken; what else is said is heard only so that the connection can be used again. */
  async #skip(body: Dispatcher.ResponseData["body"]): Promise<void> {
    const timer = this.#env.timers.after(this.#timeoutMs, () => body.destroy());
    await body.dump().finally(() => timer.cancel());
  }

  /** As much of an answer as is shown, and comes in time; the rest is not waited for. */
  async #beginningOf(body: Dispatcher.ResponseData["body"]): Promise<string> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let isLate = false;
    const timer = this.#env.timers.after(this.#timeoutMs, () => {
      isLate = true;
      body.destroy();
    });
    try {
      for await (const part of body as AsyncIterable<Uint8Array>) {
        parts.push(part);
        bytes += part.length;
        if (bytes >= ANSWER_CHARS * UTF8_BYTES_MAX) break;
      }
    } catch (error) {
      if (!isLate) throw error;
    } finally {
      timer.cancel();
    }
    return Buffer.concat(parts).toString("utf8").slice(0, ANSWER_CHARS);
  }

  #urlOf(endpoint: string): string {
    return this.#urls.get(endpoint) ?? "";
  }

  #shown(text: string): string {
    return hidden(text, this.#options.secrets ?? []);
  }
}

/** A host that took what it was posted, until it does not. */
class WebhookLink {
  readonly endpoint: string;
  readonly agent: Agent;
  /** What became of the request that made it: it was taken, or its messages were refused. */
  first: "taken" | MillraceError | undefined = "taken";

  constructor(endpoint: string, agent: Agent) {
    this.endpoint = endpoint;
    this.agent = agent;
  }

  /** Once: what is posted after it goes over the connection. */
  takeFirst(): "taken" | MillraceError | undefined {
    const { first } = this;
    this.first = undefined;
    return first;
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }
}

/** The hosts' addresses by their names for people, which are told apart even where all that differs is secret. */
function named({ urls, secrets = [] }: WebhookTargetOptions): ReadonlyMap<string, string> {
  const byName = new Map<string, string>();
  for (const [i, url] of urls.entries()) {
    const { origin, pathname } = new URL(url);
    const name = hidden(origin + pathname, secrets);
    byName.set(byName.has(name) ? `${name} (${i + 1})` : name, url);
  }
  return byName;
}

/** As in the graph, without what may be a secret: user information and query. */
function nameOf({ urls, secrets = [] }: WebhookTargetOptions): string {
  const parsed = urls.map((url) => new URL(url));
  const { protocol = "", pathname = "" } = parsed[0] ?? {};
  return hidden(`${protocol}//${parsed.map(({ host }) => host).join(",")}${pathname}`, secrets);
}

function isRefusal(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === "SINK-REFUSED";
}

function isOfCredentials(status: number): boolean {
  return status === 401 || status === 403 || status === 407;
}

function isTransient(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}
