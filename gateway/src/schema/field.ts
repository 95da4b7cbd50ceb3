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

export const Moment = (description: string) =>
  Type.String({
    pattern: "^(?:\\d{1,15}|\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d{1,3})?)?Z)$",
    description: `${description} A position, exclusive, or a time (ISO 8601, UTC).`,
  });

export const Cursor = Type.String({ minLength: 1, maxLength: 1024, description: "`next` of the answer before." });

/** A schema without fields that denies unknown query keys. */
export const NoQuery = Type.Object({}, { additionalProperties: false });
