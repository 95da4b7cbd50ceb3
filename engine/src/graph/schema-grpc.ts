/** Of the format of graph files: how methods of gRPC services are called. */
import Type, { type Static } from "typebox";
import { closed, count, duration, fields, text } from "./schema-parts.ts";

const calling = {
  proto: text(
    "File that describes the service: a .proto, whose imports are looked for in its folder, or what a compiler made of it with --include_imports (.binpb, .pb, .desc).",
  ),
  request: Type.Optional(
    Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", description: "Fields of every request." }),
  ),
  metadata: Type.Optional(fields(Type.String(), "Metadata of every call; values may be references to secrets.")),
  deadline: Type.Optional(
    duration("Longest time for one call, of a stream that is written for an acknowledgement. Default 10s."),
  ),
  keepalive: Type.Optional(
    duration(
      "How often the other end is asked whether it is there while nothing comes. Services refuse more than every 5m unless they are told otherwise. Default 5m.",
    ),
  ),
  bytes: Type.Optional(count("Most bytes of a message that comes. Default 16777216.")),
};

export const sourceGrpc = closed(
  {
    ...calling,
    items: Type.Optional(text("Where in an answer the list of messages is, names with dots between them.")),
    cursor: Type.Optional(
      closed(
        {
          field: text("Field of the last message, or with a leading `$.` of the whole answer."),
          request: text("Field of the next request that takes its value."),
        },
        { description: "The next call asks for what comes behind this." },
      ),
    ),
    id: Type.Optional(
      text(
        "Field of a message with an id that no other has: what comes twice is taken once. The newest 10 000 are known.",
      ),
    ),
    every: Type.Optional(
      duration("How long after an answer, or the end of a stream, is called again. Default 1m, after a stream 1s."),
    ),
    silence: Type.Optional(
      duration("Of streams: without a message for so long the call counts as dead. Default: never."),
    ),
  },
  { description: "How a grpc: address is read." },
);

export const sinkGrpc = closed(
  {
    ...calling,
    message: Type.Optional(text("Field of the request that the message is put into. Default: it is the request.")),
    id: Type.Optional(
      text("Field of the request that is given an id, a text, which is the same whenever a message is sent again."),
    ),
    ack: Type.Optional(
      text(
        "Of calls that stream both ways: field of an answer with the id of what it acknowledges. Default: in order.",
      ),
    ),
    refused: Type.Optional(
      text("Of calls that stream both ways: field of an answer, a text, that says why a message is refused."),
    ),
    inFlight: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description:
          "Most messages that are not answered yet. Default 1000 where they are streamed, which keeps their order; 1 where each is a call, since calls may overtake each other.",
      }),
    ),
  },
  { description: "How a grpc: address is written to." },
);

/** How a method is read. */
export type SourceGrpcDefinition = Static<typeof sourceGrpc>;

/** How a method is written to. */
export type SinkGrpcDefinition = Static<typeof sinkGrpc>;
