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

export const Cursor = Type.String({ minLength: 1, maxLength: 1024, description: "`next` of the answer before." });

export const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: "Stable code of the error catalogue." }),
    remedy: Type.String({ description: "What to do, in one sentence." }),
    correlationId: Type.String(),
    place: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
  },
  { description: "RFC 9457 problem document" },
);

/** The answer of every route that fails. */
export const problemResponses = {
  "4xx": {
    description: "The request cannot be met.",
    content: { "application/problem+json": { schema: ProblemSchema } },
  },
  "5xx": {
    description: "The server cannot answer now.",
    content: { "application/problem+json": { schema: ProblemSchema } },
  },
};

/** A schema without fields that denies unknown query keys. */
export const NoQuery = Type.Object({}, { additionalProperties: false });

export const ErrorReportSchema = Type.Object({
  code: Type.String(),
  kind: Type.String(),
  message: Type.String(),
  place: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  causes: Type.Optional(Type.Array(Type.String())),
});
