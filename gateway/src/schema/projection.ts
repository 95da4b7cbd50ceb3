import type { JsonObject } from "@millrace/engine";
import { Type } from "typebox";
import type { ProjectionInfo } from "../ports.ts";
import { Cursor, Limit, MOMENT, Name, Nullable, Position, typed } from "./field.ts";

const ProjectionInfoFields = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  asOf: Type.Integer({ description: "Folded up to this position, exclusive." }),
  lag: Type.Integer({ description: "Events not folded yet." }),
  lagMs: Type.Optional(Type.Number({ description: "Ms since it was last at the log's end; 0 while it is there." })),
  state: Type.String({ enum: ["building", "live", "failed"] }),
  reason: Type.Optional(Type.String()),
  rows: Type.Optional(Type.Integer()),
  key: Type.Optional(Type.Array(Type.String())),
  fields: Type.Optional(
    Type.Array(Type.String(), { description: "Every field that any row has had; absent where they are very many." }),
  ),
});

export const ProjectionInfoSchema = typed<ProjectionInfo>(ProjectionInfoFields);
export const ProjectionList = Type.Object({
  begin: Type.Integer({ description: "The first position that can be read: what was before it was pruned." }),
  end: Type.Integer({ description: "Position after the newest durable event." }),
  projections: Type.Array(ProjectionInfoSchema),
});
export const ProjectionParams = Type.Object({ name: Name });

/** `where.<field>=value` for any field. */
const whereFields = { "^where\\.[^.].*$": { type: "string", maxLength: 500 } };

export interface ProjectionQueryString {
  readonly asOf?: string;
  readonly minPosition?: number;
  readonly limit: number;
  readonly cursor?: string;
  readonly order?: "asc" | "desc";
  readonly [where: `where.${string}`]: string;
}

export const ProjectionQuerySchema = Type.Unsafe<ProjectionQueryString>({
  type: "object",
  properties: {
    asOf: {
      type: "string",
      pattern: MOMENT,
      description: "The rows as they were at this position, or at this time (ISO 8601, UTC).",
    },
    minPosition: { ...Position, description: "Waits until this position is folded." },
    limit: Limit(1000, 100),
    cursor: Cursor,
    order: { type: "string", enum: ["asc", "desc"] },
  },
  patternProperties: whereFields,
  additionalProperties: false,
});

export const ProjectionPageSchema = Type.Object({
  asOf: Type.Integer({ description: "The rows are exactly the fold of the log up to here." }),
  rows: Type.Array(Type.Unsafe<JsonObject>({ type: "object", additionalProperties: true })),
  next: Nullable("string", "Cursor of the next page, which a page of few rows may have too; null on the last."),
});

export interface ProjectionLiveQuery {
  readonly limit: number;
  readonly order?: "asc" | "desc";
  readonly [where: `where.${string}`]: string;
}

export const ProjectionLiveQuerySchema = Type.Unsafe<ProjectionLiveQuery>({
  type: "object",
  properties: { limit: Limit(500, 50), order: { type: "string", enum: ["asc", "desc"] } },
  patternProperties: whereFields,
  additionalProperties: false,
});
