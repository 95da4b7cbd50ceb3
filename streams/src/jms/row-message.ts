/** What a row becomes as a message: its body, and what of it the broker and selectors are to see. */
import { fieldOf, isJsonObject, type Json, setField } from "@millrace/engine";
import type { Outgoing } from "../resilience/outgoing.ts";
import type { WireMessage } from "./bridge-frame.ts";
import { jmsError } from "./errors.ts";

export interface MessageOptions {
  readonly body: "text" | "bytes" | "map";
  /** The priority of all messages, or the field of a row that holds it. Absent: 4, as the API has it. */
  readonly priority?: string | undefined;
  /** Field with the correlation id. */
  readonly correlation?: string | undefined;
  /** Fields that become properties of the same names. */
  readonly properties: readonly string[];
  /** Longest body, in bytes. */
  readonly bytesMax: number;
}

/** The property with a message's own id. The API takes no dash in a name. */
const ID_PROPERTY = "millrace_id";
const PRIORITY_MAX = 9;

/** @throws JMS-ROW, JMS-TOO-LARGE */
export function messageOf(
  { id, row, body }: Pick<Outgoing, "id" | "row" | "body">,
  options: MessageOptions,
): WireMessage {
  if (body.length > options.bytesMax) {
    const text = `a message has ${body.length} bytes, and \`jms.bytesMax\` is ${options.bytesMax}`;
    throw jmsError("JMS-TOO-LARGE", text);
  }
  const priority = priorityOf(row, options.priority);
  const correlation = correlationOf(row, options.correlation);
  return {
    ...(options.body === "map" ? { entries: entriesOf(row) } : { bytes: body }),
    ...(priority === undefined ? {} : { priority }),
    ...(correlation === undefined ? {} : { correlation }),
    properties: { ...propertiesOf(row, options.properties), [ID_PROPERTY]: id },
  };
}

function priorityOf(row: Json, said: string | undefined): number | undefined {
  if (said === undefined) return undefined;
  const value = /^\d$/.test(said) ? Number(said) : fieldOf(row, said);
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= PRIORITY_MAX) return value;
  throw refused(said, value, "no priority from 0 to 9");
}

function correlationOf(row: Json, field: string | undefined): string | undefined {
  const value = field === undefined ? undefined : fieldOf(row, field);
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" || typeof value === "number") return String(value);
  throw refused(field ?? "", value, "no text or number");
}

function propertiesOf(row: Json, fields: readonly string[]): Record<string, string | number | boolean> {
  const properties: Record<string, string | number | boolean> = {};
  for (const field of fields) {
    const value = fieldOf(row, field);
    if (value === undefined || value === null) continue;
    if (typeof value === "object") throw refused(field, value, "no text, number or truth value");
    setField(properties, field, value);
  }
  return properties;
}

function entriesOf(row: Json): Json {
  if (!isJsonObject(row)) throw jmsError("JMS-ROW", "a row that is no object cannot be a map");
  for (const [field, value] of Object.entries(row))
    if (typeof value === "object" && value !== null) throw refused(field, value, "no text, number or truth value");
  return row;
}

const SHOWN_CHARS_MAX = 100;

function refused(field: string, value: Json | undefined, why: string): Error {
  const found = (JSON.stringify(value) ?? "nothing").slice(0, SHOWN_CHARS_MAX);
  return jmsError("JMS-ROW", `field \`${field}\` holds ${found}, which is ${why}`, { details: { field } });
}
