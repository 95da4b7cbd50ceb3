/** The priority of a message that is made of a row: one that all have, or what a field of the row says. */
import { fieldOf, type Json } from "@millrace/engine";

export interface RowPriority {
  /** The priority of all messages, or the field of a row that holds it. */
  readonly said: string;
  readonly most: number;
}

const SHOWN_CHARS_MAX = 100;

/** `undefined` when nothing is said of priorities; `refused` makes the error of a value that is none. */
export function priorityOf(
  row: Json,
  option: RowPriority | undefined,
  refused: (text: string, field: string) => Error,
): number | undefined {
  if (option === undefined) return undefined;
  const { said, most } = option;
  if (/^\d/.test(said)) return Number(said);
  const value = fieldOf(row, said);
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) return value;
  const found = (JSON.stringify(value) ?? "nothing").slice(0, SHOWN_CHARS_MAX);
  throw refused(`field \`${said}\` holds ${found}, which is no priority from 0 to ${most}`, said);
}
