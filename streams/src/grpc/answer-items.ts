/** What an answer of a method holds: its messages, and where the next call goes on. */
import { engineError, type FeedItem, isJsonObject, type Json, type JsonObject, messageOf } from "@millrace/engine";
import { cursorField, idAt, valueAt } from "../http/field-path.ts";
import { grpcError } from "./errors.ts";
import { type MessageForm, withValue } from "./message-form.ts";

export interface AnswerOptions {
  /** Field with the list of messages. Absent: an answer is one. */
  readonly items?: string | undefined;
  readonly cursor?: GrpcCursor | undefined;
  /** Field of a message with an id that no other has. */
  readonly id?: string | undefined;
}

export interface GrpcCursor {
  /** Field of the last message; with a leading `$.` of the whole answer. */
  readonly field: string;
  /** Field of the next request that takes its value. */
  readonly request: string;
}

/** Plain data; empty until there was a message with a cursor. */
export interface GrpcPlace {
  readonly value?: Json;
}

export interface Answer {
  readonly items: readonly FeedItem[];
  readonly place: GrpcPlace;
  /** The place is another one than before. */
  readonly hasMoved: boolean;
}

const SHOWN_BYTES_MAX = 3072;

/** @throws GRPC-CURSOR */
export function answerOf(
  bytes: Uint8Array,
  before: GrpcPlace,
  form: MessageForm,
  name: string,
  options: AnswerOptions,
): Answer {
  let answer: Json;
  try {
    answer = form.decode(bytes);
  } catch (cause) {
    const text = `a message of ${name} is no ${form.name}: ${messageOf(cause)}`;
    const error = engineError("MSG-DECODE", text, { place: { stream: name }, cause });
    const shown = { base64: Buffer.from(bytes.subarray(0, SHOWN_BYTES_MAX)).toString("base64") };
    return { items: [{ message: shown, error }], place: before, hasMoved: false };
  }
  const rows = rowsOf(answer, options.items);
  const items = rows.map((message) => ({ message, id: idAt(message, options.id) }));
  const place = placeAfter(answer, rows, before, name, options.cursor);
  return { items, place, hasMoved: JSON.stringify(place) !== JSON.stringify(before) };
}

/** A list that is not there is empty. */
function rowsOf(answer: Json, items: string | undefined): readonly Json[] {
  if (items === undefined) return [answer];
  const rows = valueAt(answer, items) ?? [];
  return Array.isArray(rows) ? (rows as readonly Json[]) : [rows];
}

function placeAfter(
  answer: Json,
  rows: readonly Json[],
  before: GrpcPlace,
  name: string,
  cursor: GrpcCursor | undefined,
): GrpcPlace {
  const last = rows.at(-1);
  // Without messages there is nothing to go on behind: what an answer says then may be a default, which leads back to the beginning.
  if (cursor === undefined || last === undefined) return before;
  const { isOfWhole, path } = cursorField(cursor.field);
  const value = valueAt(isOfWhole ? answer : last, path);
  // The default of a text says nothing, either.
  if (value !== undefined && value !== null && value !== "") return { value };
  throw grpcError("GRPC-CURSOR", `a message of ${name} has no \`${cursor.field}\``, { place: { stream: name } });
}

/** The request that asks for what comes behind `place`. */
export function requestAt(request: JsonObject, { value }: GrpcPlace, cursor: GrpcCursor | undefined): JsonObject {
  return value === undefined || cursor === undefined ? request : withValue(request, cursor.request, value);
}

export function placeOf(cursor: Json | undefined): GrpcPlace {
  const value = cursor !== undefined && isJsonObject(cursor) ? cursor.value : undefined;
  return value === undefined ? {} : { value };
}
