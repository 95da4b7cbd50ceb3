import { Type } from "typebox";

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

export const ErrorReportSchema = Type.Object({
  code: Type.String(),
  kind: Type.String(),
  message: Type.String(),
  place: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  causes: Type.Optional(Type.Array(Type.String())),
});
