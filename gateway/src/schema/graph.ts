import type { GraphStatus, PeekedMessage } from "@millrace/engine";
import { Type } from "typebox";
import { AnyJson, Name, Nullable, typed } from "./field.ts";
import { ErrorReportSchema } from "./problem.ts";

const Count = Type.Integer({ minimum: 0 });

const GraphStateSchema = Type.String({
  enum: ["starting", "running", "suspended", "draining", "finished", "stopped", "failed"],
});

const ConnectionFields = Type.Object({
  name: Type.String({ description: "Address, without credentials." }),
  state: Type.String({ enum: ["idle", "connecting", "up", "backing-off", "suspended"] }),
  endpoint: Type.Union([Type.String(), Type.Null()]),
  reason: Type.String({ description: "Why it is not up; empty while it is." }),
  sinceMs: Type.Number(),
  connects: Count,
  failures: Count,
});

const NodeStatusFields = Type.Object({
  node: Type.String(),
  kind: Type.String(),
  role: Type.String({ enum: ["source", "pure", "committed"] }),
  state: Type.String({ enum: ["starting", "running", "waiting", "backing-off", "parked", "finished", "stopped"] }),
  guarantee: Type.Optional(Type.String({ enum: ["exactly-once", "at-least-once", "best-effort"] })),
  messagesIn: Count,
  messagesOut: Count,
  consumed: Count,
  dropped: Count,
  deadLettered: Count,
  restarts: Count,
  steps: Count,
  stepsInFlight: Count,
  commitP99Ms: Nullable("number", "99th percentile of arrival to durable over the last ten seconds, in ms."),
  busyMs: Type.Number({ minimum: 0 }),
  blockedMs: Type.Number({ minimum: 0 }),
  pressure: Type.String({ enum: ["none", "source", "cpu", "sink", "downstream", "alignment"] }),
  watermarkMs: Nullable("number", "Event time in ms since 1970."),
  epoch: Count,
  lastError: Type.Union([ErrorReportSchema, Type.Null()]),
  reason: Type.String(),
  isElsewhere: Type.Optional(
    Type.Literal(true, { description: "Runs on another host, which knows its state and counters." }),
  ),
  connection: Type.Optional(ConnectionFields),
  details: Type.Optional(AnyJson),
});

const EdgeStatusFields = Type.Object({
  edge: Type.String({ description: "`from -> to`, or `from.port -> to`." }),
  from: Type.String(),
  port: Type.String(),
  to: Type.String(),
  subject: Type.String(),
  via: Type.String({ enum: ["local", "nats", "kafka"] }),
  messages: Count,
  frames: Count,
  depth: Count,
  capacity: Count,
  oldestMs: Type.Number({ minimum: 0 }),
  dropped: Count,
  watermarkMs: Nullable("number", "Event time in ms since 1970."),
  aligning: Type.Optional(
    Type.Object(
      { lanes: Count, behind: Type.String({ description: "Name of the origin that they wait for." }) },
      { description: "Lanes that wait because they are ahead of another input in event time; absent: none does." },
    ),
  ),
  connection: Type.Optional(ConnectionFields),
});

export const GraphStatusFields = Type.Object({
  graph: Type.String(),
  revision: Count,
  state: GraphStateSchema,
  durability: Type.String({ enum: ["durable", "relaxed"] }),
  startedMs: Type.Number(),
  nodes: Type.Array(NodeStatusFields),
  edges: Type.Array(EdgeStatusFields),
  messagesIn: Count,
  messagesOut: Count,
  deadLettered: Count,
  dropped: Count,
  commitP99Ms: Nullable("number", "99th percentile of arrival to durable, ms."),
  position: Count,
});

export const GraphStatusSchema = typed<GraphStatus>(GraphStatusFields);
export const GraphList = Type.Object({ graphs: Type.Array(GraphStatusSchema) });
export const GraphParams = Type.Object({ graph: Name });
export const EdgeParams = Type.Object({ graph: Name, edge: Type.String({ minLength: 1, maxLength: 500 }) });

export const MutationBody = Type.Object(
  { reason: Type.String({ minLength: 1, maxLength: 500, description: "Why; it becomes part of the event." }) },
  { additionalProperties: false },
);

export const PeekAnswer = Type.Object({
  graph: Type.String(),
  edge: Type.String(),
  messages: Type.Array(
    typed<PeekedMessage>(
      Type.Object({
        edge: Type.String(),
        pos: Type.Integer(),
        ord: Type.Integer(),
        atMs: Type.Number(),
        value: AnyJson,
      }),
    ),
  ),
});

export const PushParams = Type.Object({ graph: Name, node: Name });
export const PushHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: "A repeated push with the same key is accepted once." }),
  ),
});
export const PushAnswer = Type.Object({
  position: Type.Integer({ description: "Log position of the messages, once they are durable." }),
  accepted: Type.Integer({ description: "Messages in the request." }),
});
