import { Type } from "typebox";
import type { EventDocument } from "../event-json.ts";
import { Tags } from "./append.ts";
import { AnyJson, Cursor, HEX_ID, Limit, Nullable, Position, typed } from "./field.ts";

export const EventFilterFields = {
  stream: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: "Exactly this stream." })),
  streamPrefix: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
  type: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: "Event types, separated by commas." })),
  category: Type.Optional(
    Type.String({ minLength: 1, maxLength: 500, description: "What is before the first `-` of the stream's name." }),
  ),
  graph: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  node: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  correlation: Type.Optional(Type.String({ pattern: HEX_ID, description: "32 hex digits." })),
  tag: Type.Optional(Tags),
};

const Payload = (otherwise: "brief" | "full") =>
  Type.String({
    enum: ["none", "brief", "full"],
    default: otherwise,
    description: "`brief` cuts long lists and texts and says so.",
  });

export const EventQuery = Type.Object(
  {
    ...EventFilterFields,
    from: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: "First position; a revision when `stream` is given.",
      }),
    ),
    direction: Type.String({ enum: ["forward", "backward"], default: "backward" }),
    limit: Limit(1000, 100),
    cursor: Type.Optional(Cursor),
    payload: Payload("brief"),
  },
  { additionalProperties: false },
);

export const OneEventQuery = Type.Object({ payload: Payload("full") }, { additionalProperties: false });

const EventFields = Type.Object({
  position: Type.Integer(),
  stream: Type.String(),
  revision: Type.Integer(),
  type: Type.String(),
  timeMs: Type.Number(),
  graph: Type.String(),
  graphRevision: Type.Integer(),
  node: Type.String(),
  epoch: Type.Integer(),
  id: Type.String(),
  causationId: Type.String(),
  correlationId: Type.String(),
  principal: Type.String(),
  tenant: Type.String(),
  codeVersion: Type.String(),
  schemaVersion: Type.Integer(),
  payloadBytes: Type.Integer(),
  payload: AnyJson,
});

export const EventSchema = typed<EventDocument>(EventFields);
export const EventPage = Type.Object({
  begin: Type.Integer({ description: "The first position that can be read: what was before it was pruned." }),
  end: Type.Integer({ description: "Position after the newest durable event." }),
  events: Type.Array(EventSchema),
  next: Nullable("string", "Cursor of the next page; null on the last."),
});
export const EventParams = Type.Object({ position: Position });
