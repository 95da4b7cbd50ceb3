/**
 * Where a polled address is read next. It is kept in the log beside the messages, so secrets of the address are taken out of it, and put
 * in again where it is used.
 */
import { createHash } from "node:crypto";
import { type HttpAnswer, isJsonObject, type Json } from "@millrace/engine";
import { httpError } from "./errors.ts";
import { cursorField, valueAt } from "./field-path.ts";
import { nextLink } from "./link-header.ts";
import type { PollDocument } from "./poll-document.ts";

export interface PlaceOptions {
  readonly name: string;
  readonly url: string;
  /** `link`: the Link header; else a field of the answer. Absent: there are no pages. */
  readonly next?: string;
  /** The next request asks for what comes behind this value. */
  readonly cursor?: { readonly field: string; readonly parameter: string };
  readonly secrets?: readonly string[];
}

export interface PollPlace {
  /** Of the page that is read next, its secrets replaced; absent: the first one. */
  readonly url?: string;
  /** How much of that page was taken: it is the last one, and may have grown. */
  readonly taken?: number;
  readonly value?: string | number;
  /** What the last answer said of itself, and to which request. */
  readonly asked?: string;
  readonly etag?: string;
  readonly modified?: string;
  readonly digest?: string;
}

const DIGEST_CHARS = 32;

const digestOf = (content: string | Uint8Array): string =>
  createHash("sha256").update(content).digest("base64url").slice(0, DIGEST_CHARS);

/** What was kept is ours, but the node may have read something else before. */
export function placeOf(cursor: Json | undefined): PollPlace {
  return cursor !== undefined && isJsonObject(cursor) ? (cursor as PollPlace) : {};
}

/** The address that is asked next. */
export function addressAt(place: PollPlace, options: PlaceOptions): string {
  if (options.next !== undefined && place.url !== undefined) return withSecrets(place.url, options.secrets ?? []);
  if (options.cursor === undefined || place.value === undefined) return options.url;
  const url = new URL(options.url);
  url.searchParams.set(options.cursor.parameter, String(place.value));
  return url.href;
}

/** Headers by which the service can say that nothing has changed. */
export function conditionsAt(place: PollPlace, address: string): Readonly<Record<string, string>> {
  if (place.asked !== digestOf(address)) return {};
  return {
    ...(place.etag === undefined ? {} : { "if-none-match": place.etag }),
    ...(place.modified === undefined ? {} : { "if-modified-since": place.modified }),
  };
}

/** Whether the answer to the same request was the same before. */
export function isKnown(place: PollPlace, address: string, { body }: HttpAnswer): boolean {
  return place.asked === digestOf(address) && place.digest === digestOf(body);
}

/** @throws HTTP-NEXT the answer does not say how to go on, or leads elsewhere */
export function placeAfter(
  place: PollPlace,
  {
    address,
    answer,
    document,
  }: { readonly address: string; readonly answer: HttpAnswer; readonly document: PollDocument },
  options: PlaceOptions,
): PollPlace {
  const { etag, "last-modified": modified } = answer.headers;
  const next = nextUrl(answer, document, address, options);
  const value = cursorOf(document, options) ?? place.value;
  return {
    ...pageAfter(next, place, document, options),
    ...(value === undefined ? {} : { value }),
    asked: digestOf(address),
    digest: digestOf(answer.body),
    ...(etag === undefined ? {} : { etag }),
    ...(modified === undefined ? {} : { modified }),
  };
}

/** Without a next page the last one is read again. */
function pageAfter(
  next: string | undefined,
  { url, taken }: PollPlace,
  { items, hasNoList }: PollDocument,
  options: PlaceOptions,
): Pick<PollPlace, "url" | "taken"> {
  if (options.next === undefined) return {};
  if (next !== undefined) return { url: next };
  const count = hasNoList === true ? (taken ?? 0) : items.length;
  return { ...(url === undefined ? {} : { url }), taken: count };
}

function nextUrl(
  answer: HttpAnswer,
  { whole }: PollDocument,
  address: string,
  options: PlaceOptions,
): string | undefined {
  const { next, name, secrets = [] } = options;
  if (next === undefined) return undefined;
  const given = next === "link" ? nextLink(answer.headers.link) : valueAt(whole ?? null, next);
  if (given === undefined || given === null || given === "") return undefined;
  if (typeof given !== "string" || !URL.canParse(given, address))
    throw httpError("HTTP-NEXT", `${name} gives a next page that is no address`);
  const url = new URL(given, address);
  // Credentials and headers would go there, too.
  if (url.origin !== new URL(options.url).origin)
    throw httpError("HTTP-NEXT", `${name} gives a next page at ${url.origin}`, { details: { origin: url.origin } });
  return withoutSecrets(url.href, secrets);
}

function cursorOf({ items, whole }: PollDocument, { cursor, name }: PlaceOptions): string | number | undefined {
  const last = items.findLast((item) => !("error" in item));
  if (cursor === undefined || last === undefined) return undefined;
  const { field } = cursor;
  const { isOfWhole, path } = cursorField(field);
  const value = valueAt(isOfWhole ? (whole ?? null) : last.message, path);
  if (typeof value === "string" || typeof value === "number") return value;
  // Asking again from the old place would give the same messages for ever.
  throw httpError("HTTP-NEXT", `an answer of ${name} has no text or number in \`${field}\``);
}

const mark = (i: number): string => `{secret-${i}}`;

function withoutSecrets(text: string, secrets: readonly string[]): string {
  let hidden = text;
  for (const [i, secret] of secrets.entries())
    if (secret !== "") hidden = hidden.replaceAll(encodeURIComponent(secret), mark(i)).replaceAll(secret, mark(i));
  return hidden;
}

function withSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((whole, secret, i) => whole.replaceAll(mark(i), encodeURIComponent(secret)), text);
}
