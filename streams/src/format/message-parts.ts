/** What a row becomes as a broker's message; each protocol has places of its own for the parts. */

/** `structured`: the event is the body; `binary`: its data is, and its attributes are headers. */
export type EventMode = "structured" | "binary";

export interface MessageParts {
  readonly body: Buffer;
  /** Absent: an event does not say what its data is. */
  readonly contentType: string | undefined;
  /** Attributes of an event in binary mode, by their names. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Absent: it is no event. */
  readonly event: EventMode | undefined;
}

export const NO_ATTRIBUTES: Readonly<Record<string, string>> = {};

/** Attributes as headers. */
export function prefixed(
  prefix: string,
  attributes: Readonly<Record<string, string>>,
  form: (value: string) => string = (value) => value,
): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [prefix + name, form(value)]));
}
