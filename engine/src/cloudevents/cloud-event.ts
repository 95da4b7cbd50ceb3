/**
 * CloudEvents 1.0.2 (https://github.com/cloudevents/spec) as messages. A message is an event in the JSON format: its attributes beside
 * `data` or `data_base64`. Here it is checked which of them are what the specification says, and which one is not.
 *
 * Not by the reference library: it brings replacements for modules of Node with it, and does not name the attribute.
 */
import type { MillraceError } from "../errors.ts";
import { base64Bytes } from "../frame/base64.ts";
import { isJsonObject, type Json, type JsonObject } from "../frame/json.ts";
import { cloudEventError } from "./errors.ts";

const SPEC_VERSION = "1.0";
const NAME = /^[a-z0-9]+$/;
/** RFC 3339; the day of the month is checked apart. */
const TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+*-]+(?:\s*;.*)?$/;
/** ASCII without spaces, quotes, brackets and the like, and percent signs only before two hex digits (RFC 3986). */
const URI_REFERENCE = /^(?:[!#$&-;=?-Z[\]_a-z~]|%[0-9A-Fa-f]{2})+$/;
const ABSOLUTE_URI = /^[A-Za-z][A-Za-z0-9+.-]*:/;
const INTEGER_MAX = 2_147_483_647;
/** Members that are the event's content, not attributes. */
const DATA: ReadonlySet<string> = new Set(["data", "data_base64"]);

/** What is wrong with a value; `undefined`: nothing. */
type Check = (value: Json) => string | undefined;

const isText: Check = (value) => (typeof value === "string" && value !== "" ? undefined : "expected a text");
const texts =
  (pattern: RegExp, what: string): Check =>
  (value) =>
    typeof value === "string" && pattern.test(value) ? undefined : `expected ${what}`;

const ATTRIBUTES: Readonly<Record<string, Check>> = {
  specversion: (value) => (value === SPEC_VERSION ? undefined : `expected "${SPEC_VERSION}"`),
  id: isText,
  source: texts(URI_REFERENCE, "a URI reference"),
  type: isText,
  time: (value) =>
    texts(TIME, "a time as in RFC 3339")(value) ?? (isDay(String(value)) ? undefined : "expected a day that exists"),
  subject: isText,
  datacontenttype: texts(MEDIA_TYPE, "a media type"),
  dataschema: (value) =>
    texts(URI_REFERENCE, "a URI")(value) ?? (ABSOLUTE_URI.test(String(value)) ? undefined : "expected an absolute URI"),
};
const NEEDED = ["specversion", "id", "source", "type"];

export interface CloudEvent {
  /** The message: the event in the JSON format, without attributes that are not set. */
  readonly event: JsonObject;
  /** The same for the same event, however often it is sent (§3.1.1): of source and id. */
  readonly id: string;
}

/** @param place where the message comes from, for people */
export function readCloudEvent(message: Json, place: string): CloudEvent | MillraceError {
  if (!isJsonObject(message)) return invalid("specversion", "the message is no object", place);
  const event: Record<string, Json> = {};
  for (const [name, value] of Object.entries(message)) {
    // An attribute that is null is not set; data may be null.
    if (value === undefined || (value === null && !DATA.has(name))) continue;
    const fault = DATA.has(name) ? dataFault(name, value) : attributeFault(name, value);
    if (fault !== undefined) return invalid(name, fault, place);
    event[name] = value;
  }
  const missing = NEEDED.find((name) => event[name] === undefined);
  if (missing !== undefined) return invalid(missing, "it is missing", place);
  if (event.data !== undefined && event.data_base64 !== undefined)
    return invalid("data_base64", "there is `data` already", place);
  return { event, id: JSON.stringify([event.source as string, event.id as string]) };
}

/** Whether a message says of itself that it is an event. */
export function isCloudEvent(message: Json): message is JsonObject {
  return isJsonObject(message) && typeof message.specversion === "string";
}

export function invalid(attribute: string, fault: string, place: string): MillraceError {
  return cloudEventError("CLOUDEVENT-INVALID", `\`${attribute}\` of a CloudEvent: ${fault}`, {
    place: { stream: place, path: `/${attribute}` },
    details: { attribute },
  });
}

function attributeFault(name: string, value: Json): string | undefined {
  const known = Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name] : undefined;
  if (known !== undefined) return known(value);
  if (!NAME.test(name)) return "names of attributes have lower-case letters and digits only";
  const isInteger = typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= INTEGER_MAX;
  return typeof value === "string" || typeof value === "boolean" || isInteger
    ? undefined
    : "expected a text, a truth value or a whole number of 32 bits";
}

function dataFault(name: string, value: Json): string | undefined {
  if (name === "data") return undefined;
  return typeof value === "string" && base64Bytes(value) !== undefined ? undefined : "expected base64";
}

/** The pattern takes the 31st of every month. */
function isDay(time: string): boolean {
  const [year = 0, month = 0, day = 0] = time.slice(0, 10).split("-").map(Number);
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}
