/** What goes to a service and comes back: one message as it is, or a list of them answered with a list of the same length. */
import { type HttpAnswer, isJsonObject, type Json, PAYLOAD_KEY, payloadError, payloadOf } from "@millrace/engine";
import { Msgpack } from "@millrace/engine/msgpack";
import { actorError } from "../../errors.ts";
import { payloadDraft } from "../calculator-payloads.ts";
import { messagesOf } from "../calculator-result.ts";

export type RestFormat = "json" | "msgpack";

/** What stands in an answer for a message that the service could not handle. */
const ERROR_KEY = "$error";

export const CONTENT_TYPE: Readonly<Record<RestFormat, string>> = {
  json: "application/json",
  msgpack: "application/msgpack",
};

// An integer beyond 2^53 is no JSON.
const msgpack = new Msgpack({ isForeign: true, integers: "exact" });

export function encodeBody(value: Json | readonly Json[], format: RestFormat): Uint8Array {
  return format === "json" ? Buffer.from(JSON.stringify(value)) : msgpack.pack(value);
}

/**
 * One list of messages for each of `n` that were sent, or why there is none.
 *
 * @throws CALC-PROTOCOL the answer as a whole is none: another format, rubbish, another number of results
 */
export function resultsOf(answer: HttpAnswer, n: number, isList: boolean): readonly (readonly Json[] | Error)[] {
  const value = answer.status === 204 || answer.body.length === 0 ? undefined : contentOf(answer);
  if (!isList) return [resultOf(value ?? null)];
  if (!Array.isArray(value)) throw broken(`an answer that is no list to ${n} messages`);
  if (value.length !== n) throw broken(`${value.length} results to ${n} messages`);
  return value.map(resultOf);
}

function contentOf({ headers, body }: HttpAnswer): unknown {
  const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  try {
    if (/^application\/(?:x-|vnd\.)?msgpack$/.test(type)) return msgpack.unpack(body);
    if (/^application\/(?:[\w.-]+\+)?json$/.test(type))
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as unknown;
  } catch (cause) {
    throw actorError("CALC-PROTOCOL", `the service answered with what is no ${type}`, { cause });
  }
  throw broken(
    type === "" ? "an answer without a content type" : `\`${type.slice(0, 100)}\` instead of JSON or MessagePack`,
  );
}

/** `null` drops the message, a list gives several, `{ $error }` fails it, anything else gives one. */
function resultOf(value: unknown): readonly Json[] | Error {
  if (value === null || value === undefined) return [];
  const failure = isJsonObject(value) && Object.keys(value).length === 1 ? value[ERROR_KEY] : undefined;
  if (failure !== undefined) return actorError("CALC-THREW", `the service says: ${textOf(failure).slice(0, 500)}`);
  try {
    return messagesOf(value);
  } catch (error) {
    return error as Error;
  }
}

function textOf(failure: Json): string {
  if (typeof failure === "string") return failure;
  return isJsonObject(failure) && typeof failure.message === "string" ? failure.message : JSON.stringify(failure);
}

/**
 * Bytes in results go the way of bytes that a calculator here returns.
 *
 * @throws PAYLOAD-VALUE what looks like a payload is none, or is a reference: those are good on this host only (P-R22)
 */
export function withDrafts(value: Json): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map(withDrafts);
  if (PAYLOAD_KEY in value) {
    const payload = payloadOf(value);
    if (payload !== undefined && "bytes" in payload) return payloadDraft(payload.bytes, payload.format);
    if (payload !== undefined)
      throw payloadError("PAYLOAD-VALUE", "the service named a payload by reference: it gives payloads as base64");
  }
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withDrafts(field as Json)]));
}

function broken(what: string): Error {
  return actorError("CALC-PROTOCOL", `the service gave ${what}`);
}
