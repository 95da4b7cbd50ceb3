/**
 * Posts messages to a web address. Batches are posted as they come, which is at-least-once: after a crash a batch may be
 * posted again, cut differently. `keyed` posts every message by itself with an `Idempotency-Key` made of its lane, position
 * and ordinal, the same for ever; a target that compares that key has each message once (R27).
 * With `signing` every request carries a signature, and an id made of what is in it, which stays the same when it is sent again.
 * Redirects are not followed: the address that the graph names is the only one that gets messages.
 */
import {
  type Clock,
  cloudEventToHeaders,
  engineError,
  type InputSlice,
  isJsonObject,
  type Json,
  MillraceError,
  messageOf,
  retryAfterMs,
  type SinkConnector,
  type SinkGuarantee,
  type WebhookKeys,
} from "@millrace/engine";
import type { Agent, Dispatcher } from "undici";
import { httpError } from "./errors.ts";
import { cutSlices, idOf, type RequestPart } from "./request-part.ts";

export interface WebhookSinkOptions {
  readonly url: string;
  /** Body of a batch: a JSON array, or one JSON value per line. Default array. A keyed message is a JSON value. */
  readonly body?: "array" | "lines";
  /** The target compares `Idempotency-Key`. Default false. */
  readonly keyed?: boolean;
  /** Messages are CloudEvents: lists of them, one in a request, or one with its attributes as headers. Absent: they are anything. */
  readonly events?: "batch" | "structured" | "binary";
  readonly headers?: Readonly<Record<string, string>>;
  /** For connecting, and for each part of the answer, in ms. Default 10 000. */
  readonly timeoutMs?: number;
  /** Most messages in one request. Default 1000. */
  readonly messagesMax?: number;
  /** Absent: requests are not signed. */
  readonly signing?: WebhookSigning;
}

/** Signatures of Standard Webhooks. */
export interface WebhookSigning {
  readonly keys: WebhookKeys;
  /** Names the sink among all that post to the address: graph and node. */
  readonly id: string;
  readonly clock: Clock;
}

const JSON_TYPE = "application/json";
const EVENT_TYPE = "application/cloudevents+json; charset=utf-8";
const BATCH_TYPE = "application/cloudevents-batch+json";
const TIMEOUT_MS = 10_000;
const MESSAGES_MAX = 1000;
/** How much of a refusal is shown. */
const ANSWER_CHARS = 500;
const UTF8_BYTES_MAX = 4;

/**
 * @throws (from `deliver`) SINK-FAILED, transient: no answer, or 408, 425, 429, 5xx, with the target's `Retry-After`, or 401, 403, 407,
 * because the target does not accept the credentials; SINK-REFUSED, terminal: any other answer that is no success
 */
export function webhookSink(options: WebhookSinkOptions): SinkConnector {
  return new WebhookSink(options);
}

class WebhookSink implements SinkConnector {
  readonly guarantee: SinkGuarantee;
  readonly #options: WebhookSinkOptions;
  #agent: Agent | undefined;

  constructor(options: WebhookSinkOptions) {
    this.#options = options;
    this.guarantee = options.keyed === true ? "key" : "at-least-once";
  }

  async open(): Promise<void> {
    await this.close();
    // Loading the library takes 45 ms, which only graphs that post should pay.
    const { Agent } = await import("undici");
    const timeout = this.#options.timeoutMs ?? TIMEOUT_MS;
    this.#agent = new Agent({ connect: { timeout }, headersTimeout: timeout, bodyTimeout: timeout, connections: 1 });
  }

  async deliver(slices: readonly InputSlice[]): Promise<Json> {
    const { events, keyed } = this.#options;
    if (keyed === true) await this.#deliverEach(slices);
    else if (events === "binary" || events === "structured") await this.#deliverEvents(slices, events === "binary");
    else
      for (const part of cutSlices(slices, this.#options.messagesMax ?? MESSAGES_MAX)) await this.#deliverBatch(part);
    return null;
  }

  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.destroy();
  }

  async #deliverEach(slices: readonly InputSlice[]): Promise<void> {
    for (const part of cutSlices(slices, 1)) {
      const [range] = part.ranges;
      if (range === undefined) continue;
      const { lane, from } = range;
      const key = `${encodeURIComponent(lane)}/${from.pos}/${from.ord}`;
      await this.#post(part, JSON.stringify(part.rows[0]), "application/json", { "idempotency-key": key });
    }
  }

  async #deliverBatch(part: RequestPart): Promise<void> {
    if (this.#options.body === "lines")
      await this.#post(part, part.rows.map((row) => `${JSON.stringify(row)}\n`).join(""), "application/x-ndjson", {});
    else
      await this.#post(
        part,
        JSON.stringify(part.rows),
        this.#options.events === undefined ? JSON_TYPE : BATCH_TYPE,
        {},
      );
  }

  async #deliverEvents(slices: readonly InputSlice[], isBinary: boolean): Promise<void> {
    for (const part of cutSlices(slices, 1)) {
      const [event = null] = part.rows;
      if (!isBinary || !isJsonObject(event)) {
        await this.#post(part, JSON.stringify(event), EVENT_TYPE, {});
        continue;
      }
      const { headers, body } = cloudEventToHeaders(event);
      await this.#post(part, body, undefined, headers);
    }
  }

  async #post(
    part: RequestPart,
    body: string | Uint8Array,
    type: string | undefined,
    extra: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { request } = await import("undici");
    const { signing } = this.#options;
    const signature = signing?.keys.sign(idOf(signing.id, part), signing.clock.now(), body);
    const headers = {
      ...(type === undefined ? {} : { "content-type": type }),
      ...this.#options.headers,
      ...extra,
      ...signature,
    };
    try {
      const dispatcher = this.#agent;
      if (dispatcher === undefined) throw new Error("the sink is not open");
      await this.#judge(await request(this.#options.url, { method: "POST", body, headers, dispatcher }));
    } catch (cause) {
      if (cause instanceof MillraceError) throw cause;
      throw engineError("SINK-FAILED", `${this.#address()} gave no answer: ${messageOf(cause)}`, { cause });
    }
  }

  async #judge({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<void> {
    if (statusCode >= 200 && statusCode < 300) return body.dump();
    const details = { status: statusCode, answer: await beginningOf(body) };
    const message = `${this.#address()} answered ${statusCode}`;
    // No message is to blame, and none would fare better: somebody must correct the secret, here or there.
    if (isOfCredentials(statusCode))
      throw engineError("SINK-FAILED", `${message}: it does not accept the credentials`, { details });
    if (!isTransient(statusCode)) throw httpError("SINK-REFUSED", message, { details });
    const waitMs = retryAfterMs(headers["retry-after"], headers.date);
    throw engineError("SINK-FAILED", message, { details, ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }) });
  }

  /** Without what may be a secret in it: user information and query. */
  #address(): string {
    const { origin, pathname } = new URL(this.#options.url);
    return origin + pathname;
  }
}

/** As much of an answer as is shown; the rest is not waited for. */
async function beginningOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    parts.push(part);
    bytes += part.length;
    if (bytes >= ANSWER_CHARS * UTF8_BYTES_MAX) break;
  }
  return Buffer.concat(parts).toString("utf8").slice(0, ANSWER_CHARS);
}

function isOfCredentials(status: number): boolean {
  return status === 401 || status === 403 || status === 407;
}

function isTransient(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}
