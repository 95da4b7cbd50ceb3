import type { DeadLetter } from "@millrace/engine";
import { Type } from "typebox";
import { AnyJson, Cursor, HEX_ID, Limit, Name, Nullable, typed } from "./field.ts";
import { ErrorReportSchema } from "./problem.ts";

const DeadLetterFields = Type.Object({
  id: Type.String(),
  graph: Type.String(),
  node: Type.String(),
  lane: Type.String(),
  pos: Type.Integer(),
  ord: Type.Integer(),
  attempts: Type.Integer(),
  error: ErrorReportSchema,
  input: AnyJson,
  position: Type.Integer(),
  timeMs: Type.Number(),
  state: Type.String({ enum: ["waiting", "redriven", "discarded"] }),
});

export const DeadLetterSchema = typed<DeadLetter>(DeadLetterFields);
export const DeadLetterQuery = Type.Object(
  {
    graph: Type.Optional(Name),
    node: Type.Optional(Name),
    code: Type.Optional(Name),
    state: Type.Optional(
      Type.Unsafe<DeadLetter["state"]>({ type: "string", enum: ["waiting", "redriven", "discarded"] }),
    ),
    limit: Limit(500, 100),
    cursor: Type.Optional(Cursor),
  },
  { additionalProperties: false },
);
export const DeadLetterPageSchema = Type.Object({
  asOf: Type.Integer(),
  rows: Type.Array(DeadLetterSchema),
  next: Nullable("string", "Cursor of the next page; null on the last."),
});
export const DeadLetterParams = Type.Object({ id: Type.String({ pattern: HEX_ID }) });
export const RedriveBody = Type.Object(
  {
    graph: Name,
    ids: Type.Array(Type.String({ pattern: HEX_ID }), { minItems: 1, maxItems: 500 }),
    reason: Type.String({ minLength: 1, maxLength: 500, description: "Why; it becomes part of the event." }),
  },
  { additionalProperties: false },
);
export const RedriveAnswer = Type.Object({ redriven: Type.Integer({ description: "Dead letters sent again." }) });
