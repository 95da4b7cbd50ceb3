/**
 * The format of graph files: static types, and the published JSON Schema, by which files are checked and editors help. Unknown keys
 * are errors. After a change: `npm run unit -- --update engine/src/graph/schema.test.ts`.
 */

import Type, { type Static, type TSchema } from "typebox";
import { mailbox, mode, NAME_PATTERN, type NodeDefinition, node, overflow } from "./schema-node.ts";
import { choice, closed, count, flag } from "./schema-parts.ts";

const edgeDefaults = {
  via: Type.Optional(
    choice(
      ["local", "nats", "kafka"],
      "What carries the edge. Default local: a hand-over within the host, the broker of --edges between hosts.",
    ),
  ),
  capacity: Type.Optional(count("Messages that may wait on the edge. Default: the receiver's mailbox.")),
  overflow: Type.Optional(overflow),
};

const edge = closed(
  {
    ...edgeDefaults,
    feedback: Type.Optional(
      flag("Closes a cycle; the receiver drains it first and its watermark ignores it. Default false."),
    ),
  },
  { description: "Settings of one edge." },
);

const supervision = closed(
  {
    strategy: Type.Optional(
      choice(
        ["one_for_one", "one_for_all", "rest_for_one"],
        "Which nodes restart with a failed one. Default one_for_one.",
      ),
    ),
    intensity: Type.Optional(
      Type.Integer({ minimum: 0, description: "Restarts within the period; one more parks the graph. Default 5." }),
    ),
    periodMs: Type.Optional(Type.Integer({ minimum: 1, description: "Default 30000." })),
    backoffMs: Type.Optional(
      Type.Integer({ minimum: 0, description: "First wait before a restart; doubles each time. Default 100." }),
    ),
    backoffMaxMs: Type.Optional(Type.Integer({ minimum: 0, description: "Longest wait. Default 10000." })),
    jitter: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, description: "Share of the wait that is random. Default 0.2." }),
    ),
  },
  { description: "How often nodes may fail, and how long to wait before they start again." },
);

type Rows = readonly unknown[];

const rowsByNode = (description: string) =>
  Type.Unsafe<Readonly<Record<string, Rows>>>({ type: "object", additionalProperties: { type: "array" }, description });

const graphTest = closed(
  {
    name: Type.Optional(Type.String()),
    given: rowsByNode("Messages of sources."),
    expect: rowsByNode("Messages that sinks must get."),
  },
  { description: "A test of the graph: with these messages in, these come out." },
);

const graph = closed(
  {
    name: Type.String({ pattern: NAME_PATTERN, description: "Name of the graph." }),
    description: Type.Optional(Type.String()),
    durability: Type.Optional(
      choice(
        ["durable", "relaxed"],
        "durable: nothing leaves before it is on disk. relaxed: it may, and a crash may lose it. Default durable.",
      ),
    ),
    defaults: Type.Optional(
      closed({
        edge: Type.Optional(closed(edgeDefaults)),
        mailbox: Type.Optional(mailbox),
        mode: Type.Optional(mode),
      }),
    ),
    nodes: Type.Unsafe<Readonly<Record<string, NodeDefinition>>>({
      type: "object",
      minProperties: 1,
      propertyNames: { pattern: NAME_PATTERN },
      additionalProperties: node,
      description: "Nodes by name.",
    }),
    edges: Type.Optional(
      Type.Unsafe<Readonly<Record<string, EdgeDefinition>>>({
        type: "object",
        additionalProperties: edge,
        description: "Settings of edges, by `from -> to`.",
      }),
    ),
    tests: Type.Optional(Type.Array(graphTest)),
    supervision: Type.Optional(supervision),
    payloads: Type.Optional(
      closed(
        {
          above: Type.Optional(
            Type.Integer({
              minimum: 4096,
              maximum: 1_048_576,
              description:
                "Bytes from which on a payload travels by reference. Default 32768, or 8192 where several nodes read it.",
            }),
          ),
        },
        { description: "How large values of messages are handed over." },
      ),
    ),
  },
  {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Millrace graph",
    description: "A graph of supervised actors over an event log.",
  },
);

export type EdgeDefinition = Static<typeof edge>;
export type SupervisionDefinition = Static<typeof supervision>;
export type GraphTestDefinition = Static<typeof graphTest>;

/** A graph as a file says it. */
export type GraphDefinition = Static<typeof graph>;

/** What `engine/schemas/graph.schema.json` is made from. */
export const graphFormat: TSchema = graph;
