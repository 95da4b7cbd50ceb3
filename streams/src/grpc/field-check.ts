/** Whether a method has the fields that a graph names, and can be used as the graph does. */
import { type JsonObject, MillraceError, type Place } from "@millrace/engine";
import { cursorField } from "../http/field-path.ts";
import { grpcError } from "./errors.ts";
import type { FieldKind, MessageForm } from "./message-form.ts";
import type { MethodFeedOptions } from "./method-feed.ts";
import type { MethodSinkOptions } from "./method-sink-options.ts";

type PlaceOf = ((...keys: readonly string[]) => Place) | undefined;

const WHOLE_NUMBER = /^[su]?(?:int|fixed)(?:32|64)$|^sfixed(?:32|64)$/;

/** @throws GRPC-SCHEMA */
export function checkSourceFields({ method, request = {}, items, cursor }: MethodFeedOptions, placeOf: PlaceOf): void {
  if (method.takesMany)
    throw fault(`${method.path} takes a stream; a source calls what takes one request`, placeOf, []);
  checkRequest(method.request, request, placeOf);
  const list = items === undefined ? undefined : fieldOf(method.answer, items, placeOf, ["items"]);
  if (list !== undefined && !list.isList) throw fault(`\`${items}\` is no list`, placeOf, ["items"]);
  if (cursor === undefined) return;
  const { isOfWhole, path } = cursorField(cursor.field);
  const form = isOfWhole || items === undefined ? method.answer : list?.form;
  if (form === undefined) throw fault(`items of \`${items}\` have no fields`, placeOf, ["cursor", "field"]);
  const from = fieldOf(form, path, placeOf, ["cursor", "field"]);
  const to = fieldOf(method.request, cursor.request, placeOf, ["cursor", "request"]);
  if (kindOf(from) !== kindOf(to))
    throw fault(`\`${cursor.request}\` takes ${kindOf(to)}, but \`${cursor.field}\` is ${kindOf(from)}`, placeOf, [
      "cursor",
      "request",
    ]);
}

/** @throws GRPC-SCHEMA */
export function checkSinkFields(options: MethodSinkOptions, placeOf: PlaceOf): void {
  const { method, request = {}, message, id, ack, refused } = options;
  if (method.givesMany && !method.takesMany)
    throw fault(`${method.path} answers one request with a stream; a source reads that`, placeOf, []);
  checkRequest(method.request, request, placeOf);
  if (message !== undefined) {
    const { form, isList } = fieldOf(method.request, message, placeOf, ["message"]);
    if (form === undefined || isList) throw fault(`\`${message}\` is no message`, placeOf, ["message"]);
  }
  if (id !== undefined) checkText(method.request, id, placeOf, "id");
  for (const [key, field] of Object.entries({ ack, refused })) {
    if (field === undefined) continue;
    if (!method.takesMany || !method.givesMany)
      throw fault(`\`${key}\` is for methods that stream both ways`, placeOf, [key]);
    checkText(method.answer, field, placeOf, key);
  }
  if (ack !== undefined && id === undefined) throw fault("`ack` needs `id`, which it answers", placeOf, ["ack"]);
}

function checkText(form: MessageForm, field: string, placeOf: PlaceOf, key: string): void {
  const { type, isList } = fieldOf(form, field, placeOf, [key]);
  if (type !== "string" || isList) throw fault(`\`${field}\` is no text`, placeOf, [key]);
}

/** What is required (proto2) may be what a cursor or a message fills in. */
function checkRequest(form: MessageForm, request: JsonObject, placeOf: PlaceOf): void {
  try {
    form.checkPart(request);
  } catch (cause) {
    if (!(cause instanceof MillraceError)) throw cause;
    throw fault(cause.message, placeOf, ["request"]);
  }
}

function fieldOf(form: MessageForm, path: string, placeOf: PlaceOf, keys: readonly string[]): FieldKind {
  const found = form.fieldAt(path);
  if (found === undefined) throw fault(`${form.name} has no field \`${path}\``, placeOf, keys);
  return found;
}

/** All whole numbers are one kind: which of them fit is a matter of the values. */
function kindOf({ type, isList, isMap }: FieldKind): string {
  const one = WHOLE_NUMBER.test(type) ? "a whole number" : type.replace(/^\./, "");
  return isList || isMap ? `several of ${one}` : one;
}

const fault = (message: string, placeOf: PlaceOf, keys: readonly string[]): MillraceError =>
  grpcError("GRPC-SCHEMA", message, { place: placeOf?.(...keys) });
