/** The forms of the requests that a keeper of the log sends to a host. */
import Type from "typebox";

const closed = { additionalProperties: false } as const;
const By = Type.Object({ principal: Type.String({ minLength: 1 }), reason: Type.String() }, closed);
const Name = Type.String({ minLength: 1 });

/** What each request has to say. Times in ms since 1970. */
export const CARE_REQUESTS = {
  archive: Type.Object({ beforeMs: Type.Number(), parquet: Type.Boolean(), keep: Type.Boolean() }, closed),
  /** `abandon`: graphs that will not run again, for which nothing is kept back. */
  prune: Type.Object({ beforeMs: Type.Number(), abandon: Type.Optional(Type.Array(Name)), by: By }, closed),
  holds: Type.Object({}, closed),
  placeHold: Type.Object(
    {
      name: Name,
      held: Type.Object(
        {
          streamPrefix: Type.Optional(Type.String()),
          tenant: Type.Optional(Type.String()),
          fromMs: Type.Optional(Type.Number()),
          toMs: Type.Optional(Type.Number()),
        },
        closed,
      ),
      by: By,
    },
    closed,
  ),
  releaseHold: Type.Object({ name: Name, by: By }, closed),
  /** Without `yes` it is only said what would be done. */
  erase: Type.Object({ subject: Name, yes: Type.Boolean(), by: By }, closed),
};
