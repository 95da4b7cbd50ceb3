/**
 * Personal values as they stand in the log: AES-256-GCM under a key of their subject. The proofs of the log are over these bytes, so
 * that they stay valid when the key is destroyed; what can no longer be opened is shown as erased, never as something else.
 *
 * The nonce is made from the value and its place (a synthetic IV, as in RFC 8452 but with HMAC-SHA-256): the same message that a
 * source reads again after a crash is sealed to the same bytes, and no nonce is used for two values of a key.
 */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";

/** What is needed to seal and open the values of one subject. */
export interface SubjectKey {
  /** 32 hex digits, random: says nothing of the subject. */
  readonly id: string;
  /** 32 bytes for the cipher, then 32 for the nonces. */
  readonly bytes: Uint8Array;
}

/** What a reader knows of a key. */
export type KnownKey = SubjectKey | "erased" | undefined;

export interface SealedValue extends JsonObject {
  /** Base64url of nonce, cipher text and tag. */
  readonly $sealed: string;
  /** Id of the subject's key. */
  readonly key: string;
  /** Where it was sealed: graph/node and field. Authenticated with the value. */
  readonly from: string;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/** @param place what tells this value from others of the same subject and origin, such as a source's position */
export function sealValue(key: SubjectKey, value: Json, from: string, place: string): SealedValue {
  const text = Buffer.from(JSON.stringify(value));
  const about = associated(key.id, from);
  const nonce = createHmac("sha256", key.bytes.subarray(KEY_BYTES)).update(about).update(`${place}\n`).update(text);
  const iv = nonce.digest().subarray(0, NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.bytes.subarray(0, KEY_BYTES), iv).setAAD(about);
  const sealed = Buffer.concat([iv, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  return { $sealed: sealed.toString("base64url"), key: key.id, from };
}

/** The value; `undefined` when the bytes are not what was sealed under this key at this origin. */
export function openValue(key: SubjectKey, { $sealed, key: id, from }: SealedValue): Json | undefined {
  const bytes = Buffer.from($sealed, "base64url");
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const end = bytes.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv("aes-256-gcm", key.bytes.subarray(0, KEY_BYTES), bytes.subarray(0, NONCE_BYTES));
    decipher.setAAD(associated(id, from)).setAuthTag(bytes.subarray(end));
    const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]);
    return JSON.parse(text.toString()) as Json;
  } catch {
    // Another key, other bytes, or another origin: GCM does not say which.
    return undefined;
  }
}

export function isSealed(value: Json): value is SealedValue {
  if (!isJsonObject(value)) return false;
  return typeof value.$sealed === "string" && typeof value.key === "string" && typeof value.from === "string";
}

/** In place of a value whose key was destroyed. */
export function erasedMarker(keyId: string): JsonObject {
  return { $erased: keyId };
}

/** In place of a value whose key is not here, or that is not what was sealed. */
function unreadableMarker(keyId: string): JsonObject {
  return { $unreadable: keyId };
}

/** `value` with every sealed value in it opened, or marked. The same object when it holds none. */
export function revealValues(value: Json, keyOf: (id: string) => KnownKey): Json {
  if (typeof value !== "object" || value === null) return value;
  if (isSealed(value)) return revealed(value, keyOf(value.key));
  if (Array.isArray(value)) {
    const parts = value.map((part: Json) => revealValues(part, keyOf));
    return parts.some((part, i) => part !== value[i]) ? parts : value;
  }
  const entries = Object.entries(value as JsonObject).map(([name, part]) => [name, revealValues(part, keyOf)] as const);
  const hasChanged = entries.some(([name, part]) => part !== (value as JsonObject)[name]);
  return hasChanged ? Object.fromEntries(entries) : value;
}

function revealed(value: SealedValue, key: KnownKey): Json {
  if (key === "erased") return erasedMarker(value.key);
  const opened = key === undefined ? undefined : openValue(key, value);
  return opened === undefined ? unreadableMarker(value.key) : opened;
}

function associated(id: string, from: string): Buffer {
  return Buffer.from(`millrace personal 1\n${id}\n${from}\n`);
}
