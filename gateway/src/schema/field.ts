import { type TSchema, Type } from "typebox";

/** A schema whose static type is one of the engine's; a type test holds the two together. */
export const typed = <T>(schema: TSchema) => Type.Unsafe<T>(schema);

export const Nullable = <T extends "number" | "string" | "integer">(type: T, description: string) =>
  Type.Unsafe<(T extends "string" ? string : number) | null>({ type: [type, "null"], description });

/** Any JSON value. */
export const AnyJson = Type.Unknown({ description: "Any JSON value." });

export const Name = Type.String({ minLength: 1, maxLength: 200 });

export const Position = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: "A position in the log.",
});

export const Limit = (most: number, otherwise: number) =>
  Type.Integer({ minimum: 1, maximum: most, default: otherwise, description: "Most items to answer." });

export const MOMENT = "^(?:\\d{1,15}|\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d{1,3})?)?Z)$";
export const HEX_ID = "^[0-9a-f]{32}$";
export const UUID = "^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$";
export const EDGE = "^[^/]+/.+$";
export const EVENT_ID = "^[0-9]{1,16}$";

/** What a text must be that does not match: a person can do something with these words, and little with the pattern. */
export const MEANINGS: ReadonlyMap<string, string> = new Map([
  [MOMENT, "a position, or a time in UTC such as 2026-01-31T12:00:00Z"],
  [HEX_ID, "32 hex digits in lower case"],
  [UUID, "a UUID"],
  [EDGE, "<graph>/<edge>"],
  [EVENT_ID, "a log position"],
]);

export const Moment = (description: string) =>
  Type.String({
    pattern: MOMENT,
    description: `${description} A position, exclusive, or a time (ISO 8601, UTC).`,
  });

export const Cursor = Type.String({ minLength: 1, maxLength: 1024, description: "`next` of the answer before." });

/** A schema without fields that denies unknown query keys. */
export const NoQuery = Type.Object({}, { additionalProperties: false });
