/**
 * Posts messages to a web address. Batches are posted as they come, which is at-least-once: after a crash a batch may be
 * posted again, cut differently. `keyed` posts every message by itself with an `Idempotency-Key` made of its lane, position
 * and ordinal, the same for ever; a target that compares that key has each message once (R27).
 * With `signing` every request carries a signature, and an id made of what is in it, which stays the same when it is sent again.
 * Redirects are not followed: the addresses that the graph names are the only ones that get messages.
 */
import {
  type Clock,
  type ConnectionStatus,
  cloudEventToHeaders,
  type Env,
  type InputSlice,
  isJsonObject,
  type Json,
  type SinkConnector,
  type SinkGuarantee,
  type WebhookKeys,
} from "@millrace/engine";
import { cutSlices, idOf, type RequestPart } from "./request-part.ts";
import { WebhookTarget, type WebhookTargetOptions } from "./webhook-target.ts";

export interface WebhookSinkOptions extends WebhookTargetOptions {
  /** Body of a batch: a JSON array, or one JSON value per line. Default array. A keyed message is a JSON value. */
  readonly body?: "array" | "lines";
  /** The target compares `Idempotency-Key`. Default false. */
  readonly keyed?: boolean;
  /** Messages are CloudEvents: lists of them, one in a request, or one with its attributes as headers. Absent: they are anything. */
  readonly events?: "batch" | "structured" | "binary";
  readonly headers?: Readonly<Record<string, string>>;
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
const MESSAGES_MAX = 1000;

/**
 * @throws (from `deliver`) SINK-FAILED, transient: no answer, or 408, 425, 429, 5xx, with the target's `Retry-After`, or 401, 403, 407,
 * because the target does not accept the credentials; CONNECTION-SUSPENDED, transient: it is left alone for a while after several of
 * these; SINK-REFUSED, terminal: any other answer that is no success
 */
export function webhookSink(options: WebhookSinkOptions, env: Env): SinkConnector {
  return new WebhookSink(options, env);
}

class WebhookSink implements SinkConnector {
  readonly guarantee: SinkGuarantee;
  readonly #options: WebhookSinkOptions;
  readonly #target: WebhookTarget;

  constructor(options: WebhookSinkOptions, env: Env) {
    this.#options = options;
    this.#target = new WebhookTarget(options, env);
    this.guarantee = options.keyed === true ? "key" : "at-least-once";
  }

  connection(): ConnectionStatus {
    return this.#target.status;
  }

  /** Nothing has to be brought back: what was not committed is posted again. */
  async open(): Promise<void> {}

  async deliver(slices: readonly InputSlice[]): Promise<Json> {
    const { events, keyed } = this.#options;
    if (keyed === true) await this.#deliverEach(slices);
    else if (events === "binary" || events === "structured") await this.#deliverEvents(slices, events === "binary");
    else
      for (const part of cutSlices(slices, this.#options.messagesMax ?? MESSAGES_MAX)) await this.#deliverBatch(part);
    return null;
  }

  close(): Promise<void> {
    return this.#target.close();
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
    const { signing } = this.#options;
    await this.#target.post({
      body,
      headers: () => ({
        ...(type === undefined ? {} : { "content-type": type }),
        ...this.#options.headers,
        ...extra,
        ...signing?.keys.sign(idOf(signing.id, part), signing.clock.now(), body),
      }),
    });
  }
}
