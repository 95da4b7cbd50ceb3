/** What graph files say of a node. Nodes are told apart by `kind`. */
import Type, { type Static } from "typebox";
import type { PayloadFormat } from "../payload/payload-store.ts";
import { PAYLOAD_FORMATS } from "../payload/payload-value.ts";
import type { CellType } from "../source/text-kernels.ts";
import { DELIMITER_PATTERN } from "./delimiter.ts";
import { sinkGrpc, sourceGrpc } from "./schema-grpc.ts";
import { jms } from "./schema-jms.ts";
import { cel, choice, closed, count, duration, fieldNames, fields, flag, text } from "./schema-parts.ts";
import { cloudEvents, rest, sinkHttp, sinkRegistry, sourceHttp, sourceRegistry } from "./schema-web.ts";

/** Letters, digits, `-` and `_`: dots address ports and slashes streams. */
export const NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_-]{0,99}$";
const REFERENCE_PATTERN = "^[A-Za-z][A-Za-z0-9_-]{0,99}(\\.[A-Za-z][A-Za-z0-9_-]{0,99})?$";

const reference = Type.String({ pattern: REFERENCE_PATTERN });

/** One schema instead of a union, so that a mistake gives one message. */
const input = Type.Unsafe<string | readonly string[]>({
  type: ["string", "array"],
  pattern: REFERENCE_PATTERN,
  items: reference,
  minItems: 1,
  description: "The node that it takes messages from, or several; `node.port` for a port other than the main one.",
});

export const overflow = choice(
  ["block", "drop-oldest", "drop-newest", "conflate"],
  "What happens when the receiver's mailbox is full; all but block lose messages and count them. Default block.",
);

export const mailbox = closed(
  {
    capacity: Type.Optional(count("Messages per lane. Default 8192.")),
    bytes: Type.Optional(count("Bytes per lane. Default 64 MiB.")),
    discipline: Type.Optional(
      choice(
        ["fifo", "lifo", "priority", "deadline", "fair"],
        "Which lane is served next; within a lane order is kept. Default fifo.",
      ),
    ),
    overflow: Type.Optional(overflow),
    conflateBy: Type.Optional(cel("For overflow conflate: the key of which only the newest message is kept")),
  },
  { description: "Bounds of what waits before the node." },
);

export const mode = choice(
  ["stream", "state"],
  "stream: every message. state: the latest value wins, unchanged values do not propagate. Default stream.",
);

const common = {
  description: Type.Optional(Type.String()),
  mode: Type.Optional(mode),
  mailbox: Type.Optional(mailbox),
  supervision: Type.Optional(
    closed(
      {
        restart: Type.Optional(
          choice(["permanent", "transient", "temporary"], "When it is restarted. Default permanent."),
        ),
      },
      { description: "How the node's failures are met." },
    ),
  ),
};

/** Of nodes that take messages in. */
const receiving = {
  ...common,
  align: Type.Optional(
    closed(
      {
        maxDrift: duration(
          "How far one input may be ahead of the slowest one, in event time; those further ahead wait.",
        ),
      },
      { description: "Inputs wait for each other in event time. Of nodes with state, and of sinks." },
    ),
  ),
};

const delimiter = Type.String({
  pattern: DELIMITER_PATTERN,
  description: "Of CSV: the character between cells. Default a comma; of a .tsv file, a tab.",
  examples: [";", "\t", "|"],
});

const types = Type.Unsafe<Readonly<Record<string, NonNullable<CellType>>>>({
  type: "object",
  minProperties: 1,
  additionalProperties: { type: "string", enum: ["text", "number", "boolean"] },
  description:
    "Of CSV: fields whose cells are all of one type, text, number or boolean. Default: a cell is what it looks like.",
});

const source = closed(
  {
    kind: Type.Literal("source"),
    from: text(
      "Where messages come from: file:./x.parquet, http:/path, metronome:1s, cron:0 * * * *, telemetry:, nats://host:4222/jetstream/STREAM, kafka://host:9092/topic, https://host/path, sse+https://host/path, wss://host/path, grpc://host:50051/package.Service/Method, grpc+listen://127.0.0.1:50061, mem:queue, memredis:stream/name",
    ),
    time: Type.Optional(text("Field with the event time: ISO 8601, or milliseconds since 1970.")),
    watermark: Type.Optional(duration("How far behind the newest event time messages may come. Default 0.")),
    idle: Type.Optional(
      duration(
        "Of what is pushed, polled or taken from a queue, with `time`: silence after which nobody waits for its event times. Default 10s.",
      ),
    ),
    speed: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "Replays at this multiple of event time. Default: as fast as possible.",
      }),
    ),
    follow: Type.Optional(flag("Reads on when the file grows, as tail -F does.")),
    format: Type.Optional(
      choice(
        ["csv", "ndjson", "json", "arrow", "parquet", "cloudevents"],
        "Format of the content. Default: by the file's extension; ndjson otherwise. cloudevents: of what comes from the web or a broker.",
      ),
    ),
    delimiter: Type.Optional(delimiter),
    types: Type.Optional(types),
    secret: Type.Optional(
      text(
        "What pushes to a http: source must be signed with (Standard Webhooks): a reference to a variable or file, env:NAME or file:PATH in braces after a dollar sign.",
      ),
    ),
    http: Type.Optional(sourceHttp),
    registry: Type.Optional(sourceRegistry),
    grpc: Type.Optional(sourceGrpc),
    jms: Type.Optional(jms),
    payload: Type.Optional(
      Type.Unsafe<Readonly<Record<string, PayloadFormat>>>({
        type: "object",
        minProperties: 1,
        additionalProperties: { type: "string", enum: [...PAYLOAD_FORMATS] },
        description: "Fields whose base64 text is a payload, with their formats: raw, msgpack, json, npy or arrow.",
      }),
    ),
    personal: Type.Optional(
      Type.Object(
        {
          subject: text("Field that says whose the personal fields are: a text or a number."),
          fields: fieldNames("Fields that are sealed under the subject's key before anything is logged."),
        },
        {
          additionalProperties: false,
          description: "Values that belong to a person: `millrace erase` makes them unreadable everywhere.",
        },
      ),
    ),
    record: Type.Optional(
      flag("Keeps the input in the log, so that it can be replayed when the source has forgotten it."),
    ),
    batch: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_536, description: "Most messages per frame. Default 4096." }),
    ),
    ...common,
  },
  { description: "Brings messages in." },
);

const filter = closed(
  { kind: Type.Literal("filter"), input, where: cel("Messages for which this is true pass"), ...receiving },
  { description: "Lets messages through." },
);

const map = closed(
  {
    kind: Type.Literal("map"),
    input,
    set: Type.Optional(
      fields(cel("Value of the field"), "Fields to add or replace, all computed from the message as it came."),
    ),
    select: Type.Optional(fieldNames("Fields to keep, after `set`.")),
    drop: Type.Optional(fieldNames("Fields to remove, after `set`.")),
    value: Type.Optional(cel("Replaces the whole message")),
    ...receiving,
  },
  { description: "Changes each message." },
);

const enrich = closed(
  {
    kind: Type.Literal("enrich"),
    input,
    table: text("What is joined: file:./x.csv or projection:name."),
    key: cel("Key of the message"),
    on: text("Column of the table that the key is looked up in."),
    as: text("Field that the table's row is put into."),
    delimiter: Type.Optional(delimiter),
    types: Type.Optional(types),
    required: Type.Optional(flag("A message without a row is dead-lettered. Default false: the field is null.")),
    ...receiving,
  },
  { description: "Joins each message with a row of a table." },
);

const window = closed(
  {
    kind: Type.Literal("window"),
    input,
    tumbling: Type.Optional(
      duration("Length of windows that do not overlap; they are aligned to 1970-01-01T00:00Z. This or `hopping`."),
    ),
    hopping: Type.Optional(
      closed(
        {
          size: duration("Length of the windows."),
          every: duration(
            "From the start of one window to that of the next; `size` is at most 1000 times as long, and a multiple of it.",
          ),
        },
        {
          description:
            "Windows that overlap; they start at multiples of `every` since 1970-01-01T00:00Z. This or `tumbling`. A message that comes after the first of its windows has ended is late.",
        },
      ),
    ),
    by: Type.Optional(fields(cel("Part of the key"), "Fields of the key; one group per window without it.")),
    compute: Type.Unsafe<Readonly<Record<string, string>>>({
      type: "object",
      minProperties: 1,
      additionalProperties: Type.String({
        minLength: 1,
        description: "count(), count(x), sum(x), avg(x), min(x) or max(x)",
      }),
      description: "Fields to compute per window and key.",
    }),
    time: Type.Optional(text("Field with the event time. Default: that of the source.")),
    lateness: Type.Optional(
      duration("How long a window waits for late messages after its end, in event time. Default 0."),
    ),
    late: Type.Optional(
      choice(
        ["drop", "output"],
        "What happens to messages that come later still: dropped and counted, or sent to port `late`. Default drop.",
      ),
    ),
    ...receiving,
  },
  { description: "Aggregates messages by event time; emits {<by>, window_start, window_end, <compute>}." },
);

const calculator = closed(
  {
    kind: Type.Literal("calculator"),
    input,
    use: text(
      "File of the calculator: ./score.ts, .js, .py, .java, .jar, .so or .wasm; or the http(s) address of a service.",
    ),
    export: Type.Optional(
      text("Which calculator of a file that holds several. Default: the only one; of a module its default export."),
    ),
    pure: Type.Optional(
      flag("Promises that the result depends on the message alone, so that it need not be logged. Default false."),
    ),
    deadline: Type.Optional(
      duration("Longest time for one message; of a service for one request. Default 1s, of a service 10s."),
    ),
    isolation: Type.Optional(
      choice(
        ["inline", "thread", "process"],
        "Where the code runs. Default: inline for `pure` modules, a process for .py, .java, .jar and .so, else a thread.",
      ),
    ),
    sandbox: Type.Optional(
      flag(
        "Runs a script in an interpreter that has the language and nothing else: no files, network, modules or timers. Default false.",
      ),
    ),
    interpreter: Type.Optional(
      text("Program that runs it, a path from the graph file or a name on PATH. Default: python3, java, or this Node."),
    ),
    limits: Type.Optional(
      closed(
        {
          memoryMib: Type.Optional(
            Type.Integer({ minimum: 16, maximum: 1_048_576, description: "Memory of the code, in MiB. Default 256." }),
          ),
          cpu: Type.Optional(
            duration("Processor time for one message, in a process only. Default: ten times the deadline."),
          ),
          load: Type.Optional(duration("Longest time to load. Default 10s, in a process 30s.")),
          attempts: Type.Optional(count("How often a message may end its process or thread by itself. Default 2.")),
        },
        { description: "What the code may use." },
      ),
    ),
    config: Type.Optional(
      Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", description: "Handed to the calculator." }),
    ),
    rest: Type.Optional(rest),
    ...receiving,
  },
  { description: "Runs code on each message." },
);

const switchNode = closed(
  {
    kind: Type.Literal("switch"),
    input,
    cases: Type.Unsafe<Readonly<Record<string, string>>>({
      type: "object",
      minProperties: 1,
      propertyNames: { pattern: NAME_PATTERN },
      additionalProperties: cel("Messages for which this is true go to the port of this name"),
      description: "Ports by name, tried in order; the first that holds takes the message.",
    }),
    otherwise: Type.Optional(
      Type.String({
        pattern: NAME_PATTERN,
        description: "Port for messages that match no case; they are dead-lettered without it.",
      }),
    ),
    ...receiving,
  },
  { description: "Sends each message to one of several ports, addressed as `name.port`." },
);

const merge = closed(
  {
    kind: Type.Literal("merge"),
    inputs: Type.Array(reference, { minItems: 1, description: "The nodes that it takes messages from." }),
    ...receiving,
  },
  { description: "Brings several inputs together." },
);

const sink = closed(
  {
    kind: Type.Literal("sink"),
    input,
    to: text(
      "Where messages go: projection:name, file:out.ndjson, https://…, wss://…, stdout:, discard:, nats://host:4222/jetstream/subject, kafka://host:9092/topic, grpc://host:50051/package.Service/Method",
    ),
    key: Type.Optional(fieldNames("Fields that identify a row of the target.")),
    secret: Type.Optional(
      text(
        "What requests of a webhook are signed with (Standard Webhooks): a reference to a variable or file, env:NAME or file:PATH in braces after a dollar sign.",
      ),
    ),
    format: Type.Optional(
      choice(
        ["ndjson", "csv", "json", "cloudevents"],
        "Format of the content. Default: by the file's extension; ndjson otherwise. cloudevents: of what goes to the web or a broker.",
      ),
    ),
    replace: Type.Optional(
      flag("Of a file: removes what is in it when the sink begins. Default: a file that is not empty is refused."),
    ),
    delimiter: Type.Optional(delimiter),
    http: Type.Optional(sinkHttp),
    cloudevents: Type.Optional(cloudEvents),
    registry: Type.Optional(sinkRegistry),
    grpc: Type.Optional(sinkGrpc),
    jms: Type.Optional(jms),
    reveal: Type.Optional(flag("Opens sealed personal values on their way out; without it they leave as they are.")),
    ...receiving,
  },
  { description: "Takes messages out." },
);

const kinds = [source, filter, map, enrich, window, calculator, switchNode, merge, sink];

export type MailboxDefinition = Static<typeof mailbox>;
export type SourceDefinition = Static<typeof source>;
export type FilterDefinition = Static<typeof filter>;
export type MapDefinition = Static<typeof map>;
export type EnrichDefinition = Static<typeof enrich>;
export type WindowDefinition = Static<typeof window>;
export type CalculatorDefinition = Static<typeof calculator>;
export type SwitchDefinition = Static<typeof switchNode>;
export type MergeDefinition = Static<typeof merge>;
export type SinkDefinition = Static<typeof sink>;

export type NodeDefinition =
  | SourceDefinition
  | FilterDefinition
  | MapDefinition
  | EnrichDefinition
  | WindowDefinition
  | CalculatorDefinition
  | SwitchDefinition
  | MergeDefinition
  | SinkDefinition;

export type NodeKind = NodeDefinition["kind"];

export const node = Type.Unsafe<NodeDefinition>({
  type: "object",
  required: ["kind"],
  discriminator: { propertyName: "kind" },
  oneOf: kinds,
});
