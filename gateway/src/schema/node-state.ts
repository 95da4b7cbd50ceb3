import type { JsonObject } from "@millrace/engine";
import { Type } from "typebox";
import type { NodeState, NodeStateDiff, StateChange } from "../ports.ts";
import { Limit, Moment, Name, typed } from "./field.ts";

export const NodeParams = Type.Object({ graph: Name, node: Name });

export const StateQuery = Type.Object(
  { at: Type.Optional(Moment("The state at this moment; default now.")), limit: Limit(10_000, 1000) },
  { additionalProperties: false },
);

export const StateDiffQuery = Type.Object(
  {
    from: Moment("The earlier moment."),
    to: Type.Optional(Moment("The later; default now.")),
    limit: Limit(10_000, 1000),
  },
  { additionalProperties: false },
);

export const StateChangeQuery = Type.Object(
  { field: Type.String({ minLength: 1, maxLength: 200 }), limit: Limit(10_000, 1000) },
  { additionalProperties: false },
);

const Fields = Type.Unsafe<JsonObject>({ type: "object", additionalProperties: true });

export const NodeStateSchema = typed<NodeState>(Fields);
export const NodeStateDiffSchema = typed<NodeStateDiff>(Fields);
export const StateChangePage = Type.Object({
  from: Type.Integer({ description: "The first position that was looked at: what is before it was pruned." }),
  asOf: Type.Integer({ description: "Every event of the stream below this position was looked at." }),
  changes: Type.Array(typed<StateChange>(Fields)),
  fields: Type.Array(Type.String(), { description: "Fields that rows of the state have had, at most 1000." }),
  total: Type.Integer({
    description: "Changes that there are; more than answered if `limit` cut them. The newest are kept.",
  }),
});
