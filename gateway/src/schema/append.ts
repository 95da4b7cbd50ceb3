/** Appends over REST and their conditions. EventStoreDB clients write the same condition into the metadata of an event. */
import { Type } from "typebox";
import { AnyJson, HEX_ID, typed, UUID } from "./field.ts";

const closed = { additionalProperties: false } as const;
const Text = (maxLength: number) => Type.String({ minLength: 1, maxLength });

export const Tag = Type.String({ minLength: 1, maxLength: 200, description: "Such as `seat:17`." });
export const Tags = Type.Array(Tag, { minItems: 1, maxItems: 32 });

/** All that is given must hold of an event. */
const ConditionFilter = Type.Object(
  {
    tags: Type.Optional(Tags),
    types: Type.Optional(Type.Array(Text(200), { minItems: 1, maxItems: 32 })),
    streamPrefix: Type.Optional(Text(500)),
    category: Type.Optional(Text(500)),
    graph: Type.Optional(Text(200)),
    node: Type.Optional(Text(200)),
    correlation: Type.Optional(Type.String({ pattern: HEX_ID })),
  },
  { ...closed, minProperties: 1 },
);

export const ConditionSchema = Type.Object(
  {
    none: Type.Array(ConditionFilter, {
      minItems: 1,
      maxItems: 16,
      description: "No event that passes one of these may stand after `after`.",
    }),
    after: Type.Integer({
      minimum: -1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: "Position of the last event that the decision knew of, -1 when it knew of none.",
    }),
  },
  closed,
);

const NewEvent = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        pattern: UUID,
        description: "A UUID. Whoever repeats a request gives all ids, so that it happens once.",
      }),
    ),
    type: Text(200),
    data: AnyJson,
    metadata: Type.Optional(typed<Readonly<Record<string, unknown>>>(Type.Object({}, { additionalProperties: true }))),
    tags: Type.Optional(Tags),
  },
  closed,
);

const StreamAppendBody = Type.Object(
  {
    stream: Text(500),
    expected: Type.Union([Type.String({ enum: ["any", "none", "exists"] }), Type.Integer({ minimum: 0 })], {
      default: "any",
      description: "Revision of the stream's last event, or what there has to be.",
    }),
    events: Type.Array(NewEvent, { minItems: 1, maxItems: 1000 }),
  },
  closed,
);

export const AppendBody = Type.Object(
  { appends: Type.Array(StreamAppendBody, { minItems: 1, maxItems: 100 }), condition: Type.Optional(ConditionSchema) },
  closed,
);

export const AppendAnswer = Type.Object({
  position: Type.Integer({ description: "Of the last event." }),
  firstPosition: Type.Integer(),
  revisions: Type.Array(Type.Integer(), { description: "Of the last event of each stream, as they were asked." }),
  repeated: Type.Boolean({ description: "The append had happened before: nothing was written." }),
});
