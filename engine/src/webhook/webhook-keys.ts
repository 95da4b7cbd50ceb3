/**
 * Signatures of requests as Standard Webhooks 1.0 has them (https://www.standardwebhooks.com): HMAC-SHA-256 over id, time and body.
 * The id is the message's, the same however often it is sent, so that whoever remembers ids takes a replay once; the time bounds how
 * long they must be remembered. No library: the one there is does its own SHA-256 and reads the global clock.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Header names are in lower case. */
export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export type WebhookVerdict =
  | { readonly id: string }
  | { readonly fault: "missing" | "stale" | "wrong"; readonly message: string };

/** How far the sender's clock may be from ours, in ms, either way. */
const TOLERANCE_MS = 300_000;
const KEY_BYTES_MIN = 24;
const KEY_BYTES_MAX = 64;
const VERSION = "v1";
/** A dot would end the id within what is signed, and another id, time and body could have the same signature. */
const ID = /^[^.\s]{1,200}$/;

export class WebhookKeys {
  /** Private, so that it is in no message, log or inspection. */
  readonly #keys: readonly Buffer[];

  private constructor(keys: readonly Buffer[]) {
    this.#keys = keys;
  }

  /** One secret, `whsec_` and 24 to 64 bytes in base64, or several with spaces between, while they are exchanged. */
  static parse(text: string): WebhookKeys | { readonly fault: string } {
    const keys = text.trim().split(/\s+/).map(keyOf);
    if (keys.includes(undefined))
      return { fault: `expected \`whsec_\` and ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} bytes in base64` };
    return new WebhookKeys(keys as readonly Buffer[]);
  }

  /** Headers of a request, signed with every key. `id`: 1 to 200 characters without dots and spaces. */
  sign(id: string, atMs: number, body: string | Uint8Array): Readonly<Record<string, string>> {
    const seconds = String(Math.floor(atMs / 1000));
    return {
      "webhook-id": id,
      "webhook-timestamp": seconds,
      "webhook-signature": this.#signatures(id, seconds, body).join(" "),
    };
  }

  /** Says whose message it is, or why it is not to be taken. Takes the same time wherever a signature differs. */
  verify(headers: WebhookHeaders, body: string | Uint8Array, nowMs: number): WebhookVerdict {
    const id = headers["webhook-id"];
    const seconds = headers["webhook-timestamp"];
    const given = headers["webhook-signature"];
    if (typeof id !== "string" || typeof seconds !== "string" || typeof given !== "string")
      return { fault: "missing", message: "webhook-id, webhook-timestamp and webhook-signature are needed" };
    if (!ID.test(id)) return { fault: "wrong", message: "the webhook-id has dots or spaces, or is too long" };
    if (!/^\d{1,12}$/.test(seconds)) return { fault: "wrong", message: "the webhook-timestamp is no time in seconds" };
    const offers = given.split(" ");
    const isSigned = this.#signatures(id, seconds, body).some((expected) =>
      offers.some((one) => isEqual(one, expected)),
    );
    if (!isSigned) return { fault: "wrong", message: "no signature fits id, time, body and key" };
    const isNear = Math.abs(nowMs - Number(seconds) * 1000) <= TOLERANCE_MS;
    return isNear ? { id } : { fault: "stale", message: "it was signed more than five minutes from now" };
  }

  #signatures(id: string, seconds: string, body: string | Uint8Array): readonly string[] {
    return this.#keys.map((key) => {
      const mac = createHmac("sha256", key).update(`${id}.${seconds}.`).update(body).digest("base64");
      return `${VERSION},${mac}`;
    });
  }
}

function keyOf(text: string): Buffer | undefined {
  const [, encoded = ""] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  const key = Buffer.from(encoded, "base64");
  return key.length >= KEY_BYTES_MIN && key.length <= KEY_BYTES_MAX ? key : undefined;
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
