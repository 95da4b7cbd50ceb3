/** What an answer says: messages, in order, and what of it is none. */
import { engineError, type FeedItem, type HttpAnswer, type Json, messageOf } from "@millrace/engine";
import { httpError } from "./errors.ts";
import { idAt, valueAt } from "./field-path.ts";

export interface DocumentOptions {
  /** The address, for people. */
  readonly name: string;
  /** Default: by the answer's content type; json otherwise. */
  readonly format?: "json" | "ndjson";
  /** Where the list of messages is. Default: the whole answer, one message if it is no list. */
  readonly items?: string;
  /** Field of a message with its id. */
  readonly id?: string;
}

export interface PollDocument {
  readonly items: readonly FeedItem[];
  /** The whole of it; `undefined` for lines, and for what is no JSON. */
  readonly whole: Json | undefined;
  /** There is no list of messages: what is given instead counts for none of them. */
  readonly hasNoList?: true;
}

const LINES = /\b(?:x-)?(?:ndjson|jsonl|jsonlines|json-lines|json-seq)\b/i;
const SHOWN_CHARS_MAX = 4096;
const utf8 = new TextDecoder("utf-8", { fatal: true });

export function readDocument({ headers, body }: HttpAnswer, options: DocumentOptions): PollDocument {
  const isLines =
    options.format === undefined ? LINES.test(headers["content-type"] ?? "") : options.format === "ndjson";
  let text: string;
  try {
    text = utf8.decode(body);
  } catch (cause) {
    return broken(notJson(Buffer.from(body).toString("latin1"), options.name, cause), undefined);
  }
  return isLines ? readLines(text, options) : readJson(text, options);
}

function readLines(text: string, options: DocumentOptions): PollDocument {
  const items: FeedItem[] = [];
  let number = 0;
  for (const line of text.split("\n")) {
    number++;
    if (line.trim() === "") continue;
    try {
      items.push(itemOf(JSON.parse(line) as Json, options.id));
    } catch (cause) {
      items.push(notJson(line, options.name, cause, number));
    }
  }
  return { items, whole: undefined };
}

function readJson(text: string, options: DocumentOptions): PollDocument {
  // Nothing is sent by who has nothing to say.
  if (text.trim() === "") return { items: [], whole: undefined, hasNoList: true };
  let whole: Json;
  try {
    whole = JSON.parse(text) as Json;
  } catch (cause) {
    return broken(notJson(text, options.name, cause), undefined);
  }
  const list = options.items === undefined ? whole : valueAt(whole, options.items);
  if (options.items === undefined && !Array.isArray(whole)) return { items: [itemOf(whole, options.id)], whole };
  if (Array.isArray(list)) return { items: list.map((message) => itemOf(message as Json, options.id)), whole };
  const place = { stream: options.name };
  const error = httpError("HTTP-SHAPE", `the answer of ${options.name} has no list at \`${options.items}\``, { place });
  return broken({ message: text.slice(0, SHOWN_CHARS_MAX), error }, whole);
}

const broken = (item: FeedItem, whole: Json | undefined): PollDocument => ({ items: [item], whole, hasNoList: true });

function itemOf(message: Json, id: string | undefined): FeedItem {
  return { message, id: idAt(message, id) };
}

function notJson(text: string, name: string, cause: unknown, line?: number): FeedItem {
  const place = { stream: name, ...(line === undefined ? {} : { line }) };
  const where = line === undefined ? name : `${name}, line ${line},`;
  const error = engineError("MSG-DECODE", `an answer of ${where} is no JSON: ${messageOf(cause)}`, { place, cause });
  return { message: text.slice(0, SHOWN_CHARS_MAX), error };
}
