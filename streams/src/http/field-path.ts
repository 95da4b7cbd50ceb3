import { fieldOf, type Json } from "@millrace/engine";

/** The value at names with dots between them; `undefined` where there is none. */
export function valueAt(value: Json, path: string): Json | undefined {
  let at: Json | undefined = value;
  for (const name of path.split(".")) at = fieldOf(at, name);
  return at;
}

const WHOLE = "$.";

/** What the field of a cursor is of: the last message, or with a leading `$.` the whole answer. */
export interface CursorField {
  readonly isOfWhole: boolean;
  readonly path: string;
}

export function cursorField(field: string): CursorField {
  const isOfWhole = field.startsWith(WHOLE);
  return { isOfWhole, path: isOfWhole ? field.slice(WHOLE.length) : field };
}

/** What a message says its id is: a text or a number at the path. */
export function idAt(message: Json, path: string | undefined): string | undefined {
  const id = path === undefined ? undefined : valueAt(message, path);
  return typeof id === "number" || (typeof id === "string" && id !== "") ? String(id) : undefined;
}
