/**
 * Payloads inside of messages. A message is JSON, so a payload in it is an object with the single key `$payload`: small ones
 * carry their bytes, large ones the SHA-256 of theirs. The hash is what frames, edges and the log carry (P-R20); where the
 * bytes are is for {@link PayloadExchange} to know.
 */
import { base64Bytes } from "../frame/base64.ts";
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";
import { payloadError } from "./payload-errors.ts";
import type { PayloadFormat } from "./payload-store.ts";

/** Names a payload by its content: good on every host, for ever. */
export interface PayloadReference {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly format: PayloadFormat;
  /** Bytes. */
  readonly length: number;
}

export interface InlinePayload {
  readonly format: PayloadFormat;
  readonly bytes: Uint8Array;
}

export const PAYLOAD_KEY = "$payload";

export const PAYLOAD_FORMATS: readonly PayloadFormat[] = ["raw", "msgpack", "json", "npy", "arrow"];

const SHA256 = /^[0-9a-f]{64}$/;

export function inlineValue({ format, bytes }: InlinePayload): JsonObject {
  return {
    [PAYLOAD_KEY]: { format, base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64") },
  };
}

export function referenceValue({ sha256, format, length }: PayloadReference): JsonObject {
  return { [PAYLOAD_KEY]: { format, length, sha256 } };
}

/** The payload that a value is; `undefined` for every other value. @throws PAYLOAD-VALUE it has the key and is none */
export function payloadOf(value: unknown): PayloadReference | InlinePayload | undefined {
  const body = bodyOf(value);
  if (body === undefined) return undefined;
  const { format, base64 } = body;
  if (!isFormat(format)) throw wrong(`its format is ${JSON.stringify(format) ?? "missing"}`);
  if (typeof base64 !== "string") return referenceOf(body, format);
  const bytes = base64Bytes(base64);
  if (bytes === undefined) throw wrong("its bytes are no base64");
  return { format, bytes: new Uint8Array(bytes) };
}

function referenceOf({ sha256, length }: JsonObject, format: PayloadFormat): PayloadReference {
  if (typeof sha256 !== "string" || !SHA256.test(sha256)) throw wrong("it has neither `base64` nor a `sha256`");
  if (typeof length !== "number" || !Number.isSafeInteger(length) || length < 0)
    throw wrong("its length is no number of bytes");
  return { sha256, format, length };
}

/** The references anywhere inside of a value, each content once. Values that are no proper payloads are left out. */
export function referencesIn(
  value: unknown,
  found: Map<string, PayloadReference> = new Map(),
): Map<string, PayloadReference> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return found;
  if (Array.isArray(value)) {
    for (const item of value) referencesIn(item, found);
    return found;
  }
  const body = bodyOf(value);
  if (body !== undefined) {
    const { sha256, format, length } = body;
    if (isFormat(format) && typeof sha256 === "string" && SHA256.test(sha256) && typeof length === "number")
      found.set(sha256, { sha256, format, length });
    return found;
  }
  for (const name in value) referencesIn((value as Record<string, unknown>)[name], found);
  return found;
}

/** The value with every payload in it replaced; the same value if there is none. */
export async function mapPayloads(
  value: Json,
  change: (payload: PayloadReference | InlinePayload, value: Json) => Promise<Json>,
): Promise<Json> {
  if (!hasPayload(value)) return value;
  if (typeof value !== "object" || value === null) return value;
  const payload = payloadOf(value);
  if (payload !== undefined) return change(payload, value);
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const item of value as readonly Json[]) items.push(await mapPayloads(item, change));
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  const fields: [string, Json][] = [];
  let isSame = true;
  for (const [name, field] of Object.entries(value as JsonObject)) {
    const mapped = await mapPayloads(field, change);
    if (mapped !== field) isSame = false;
    fields.push([name, mapped]);
  }
  return isSame ? value : Object.fromEntries(fields);
}

/** Whether a payload, proper or not, is anywhere inside of a value. */
export function hasPayload(value: unknown): boolean {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value)) return value.some(hasPayload);
  if (bodyOf(value) !== undefined) return true;
  for (const name in value) if (hasPayload((value as Record<string, unknown>)[name])) return true;
  return false;
}

export function isFormat(format: unknown): format is PayloadFormat {
  return PAYLOAD_FORMATS.includes(format as PayloadFormat);
}

function bodyOf(value: unknown): JsonObject | undefined {
  if (!isJsonObject(value)) return undefined;
  const body = value[PAYLOAD_KEY];
  return isJsonObject(body) && Object.keys(value).length === 1 ? body : undefined;
}

function wrong(why: string): Error {
  return payloadError("PAYLOAD-VALUE", `a value with \`${PAYLOAD_KEY}\` is no payload: ${why}`);
}
