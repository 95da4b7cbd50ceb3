import { Type } from "typebox";
import { EventFilterFields } from "./event.ts";
import { EDGE, EVENT_ID } from "./field.ts";

const { stream: _exact, ...filter } = EventFilterFields;

export const LiveQuery = Type.Object(
  {
    ...filter,
    graph: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: "Nodes and edges of this graph only, and its events." }),
    ),
    peek: Type.Optional(
      Type.String({
        pattern: EDGE,
        maxLength: 700,
        description: "`graph/edge`: samples at most 50 messages a second.",
      }),
    ),
    events: Type.String({
      enum: ["newest", "all", "none"],
      default: "newest",
      description: "`newest` tells what it skipped; `all` skips nothing, as fast as the reader reads.",
    }),
    status: Type.String({ enum: ["full", "summary", "none"], default: "full", description: "Snapshots at 4 Hz." }),
  },
  { additionalProperties: false },
);

export const LiveHeaders = Type.Object({
  "last-event-id": Type.Optional(
    Type.String({
      pattern: EVENT_ID,
      description: "Log position of the newest event seen; the stream goes on after it.",
    }),
  ),
});
