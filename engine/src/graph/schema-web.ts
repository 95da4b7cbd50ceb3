/** Of the format of graph files: how services are called, and what crosses the web. */
import Type, { type Static } from "typebox";
import { choice, closed, count, duration, fieldNames, fields, flag, text } from "./schema-parts.ts";

const secret = (description: string) =>
  Type.String({ minLength: 1, description: `${description}: a reference to a secret, \${env:NAME} or \${file:PATH}.` });

/** One schema instead of a union, so that a mistake gives one message; which fields belong to which type is checked apart. */
const auth = closed(
  {
    type: choice(["bearer", "basic", "api-key", "oauth2"], "How the service is told who calls."),
    token: Type.Optional(secret("For bearer")),
    user: Type.Optional(text("For basic.")),
    password: Type.Optional(secret("For basic")),
    key: Type.Optional(secret("For api-key")),
    header: Type.Optional(text("For api-key: the header. Default X-API-Key.")),
    tokenUrl: Type.Optional(text("For oauth2: where tokens come from (client credentials, RFC 6749 section 4.4).")),
    clientId: Type.Optional(text("For oauth2.")),
    clientSecret: Type.Optional(secret("For oauth2")),
    scope: Type.Optional(text("For oauth2: scopes, with blanks between them.")),
  },
  { description: "Credentials." },
);

const networks = Type.Optional(
  Type.Array(Type.String({ minLength: 1 }), {
    minItems: 1,
    description:
      "Networks that may be called although they are private, loopback, link-local or reserved: 127.0.0.0/8, 10.1.0.0/16, ::1/128.",
  }),
);

/** How whoever answers is called; shared by all that call over HTTP. */
const calling = {
  auth: Type.Optional(auth),
  headers: Type.Optional(fields(Type.String(), "Headers of every request; values may be references to secrets.")),
  allow: networks,
};

const ack = Type.Optional(
  flag("Of WebSockets: messages are {id, data}, and each is answered with {ack: id} once it is safe. Default false."),
);

export const sourceHttp = closed(
  {
    every: Type.Optional(duration("Of polling: how often the address is asked. Default 1m.")),
    cron: Type.Optional(
      text("Of polling: when it is asked, five fields or six with seconds, in UTC; instead of `every`."),
    ),
    items: Type.Optional(
      text("Of polling: where in the answer the list of messages is, names with dots between them."),
    ),
    next: Type.Optional(
      text("Of polling: where the address of the next page is: `link` for the Link header, or a field of the answer."),
    ),
    cursor: Type.Optional(
      closed(
        {
          field: text("Field of the last message, or with a leading `$.` of the whole answer."),
          parameter: text("Parameter of the next request that takes its value."),
        },
        { description: "Of polling: the next request asks for what comes behind this." },
      ),
    ),
    events: Type.Optional(
      fieldNames("Of event streams: types that are taken, `message` for those without. Default all."),
    ),
    silence: Type.Optional(
      duration("Of event streams: without a byte for so long the connection counts as dead. Default 90s."),
    ),
    envelope: Type.Optional(
      flag("Of event streams: messages are {id, event, data}. Default false: the data, as JSON."),
    ),
    ack,
    send: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description: "Of WebSockets: texts that are sent after connecting, such as a subscription; may name secrets.",
      }),
    ),
    id: Type.Optional(
      text(
        "Field of a message with an id that no other has: what comes twice is taken once. The newest 10 000 are known.",
      ),
    ),
    deadline: Type.Optional(duration("Of polling: longest time for one request; else for connecting. Default 10s.")),
    bytes: Type.Optional(count("Most bytes of an answer, an event or a message. Default 16777216.")),
    ...calling,
  },
  { description: "How an http(s), sse+http(s) or ws(s) address is read." },
);

export const sinkHttp = closed(
  {
    ack,
    deadline: Type.Optional(duration("Longest time in which a message must be acknowledged. Default 10s.")),
    ...calling,
  },
  { description: "How a ws(s) address is written to, and with `allow` alone an http(s) address." },
);

const registry = {
  url: text("Address of the registry; several, with commas between them, are one service in order of preference."),
  auth: Type.Optional(
    closed(
      {
        type: choice(["basic", "bearer"], "How the registry is told who calls."),
        user: Type.Optional(text("For basic.")),
        password: Type.Optional(secret("For basic")),
        token: Type.Optional(secret("For bearer")),
      },
      { description: "Credentials." },
    ),
  ),
  ca: Type.Optional(
    text("File with the authorities, as PEM, that the registry's certificate is signed by. Default: the system's."),
  ),
  allow: networks,
};

export const sourceRegistry = closed(registry, {
  description: "Schema registry that says how messages are encoded, by the id that each begins with.",
});

export const sinkRegistry = closed(
  {
    ...registry,
    schema: Type.Optional(
      text(
        "File of the schema that messages are encoded by: .avsc, .proto or .json. Default: the newest that the subject has when the node starts.",
      ),
    ),
    references: Type.Optional(
      Type.Array(
        closed({
          name: text("What the schema calls it: a type of Avro, an import of Protobuf, a `$ref` of JSON Schema."),
          subject: text("Its subject."),
          version: count("Its version."),
        }),
        { minItems: 1, description: "Registered schemas that the file's schema refers to." },
      ),
    ),
    record: Type.Optional(text("Full name of the record or message. Default: the schema's own, or its first.")),
    subject: Type.Optional(
      choice(
        ["topic", "record", "topic-record"],
        "What the subject is named by: <topic>-value, <record> or <topic>-<record>. The topic is what the address names: a topic, subject, queue, exchange, stream, channel, bucket or prefix. Default topic.",
      ),
    ),
    register: Type.Optional(flag("Registers the file's schema if the subject does not have it. Default false.")),
  },
  { description: "Schema registry whose schema messages are encoded by." },
);

export const rest = closed(
  {
    batch: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 512,
        description:
          "Most messages in one request, sent as a list and answered with a list. Default: one, sent as it is.",
      }),
    ),
    format: Type.Optional(choice(["json", "msgpack"], "Format of requests. Default json.")),
    ...calling,
    connections: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 256, description: "Most requests at the same time. Default 8." }),
    ),
    attempts: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 20,
        description: "How often a request is sent before it has failed. Default 3.",
      }),
    ),
    backoff: Type.Optional(
      duration("First wait before another attempt; doubles, with jitter, up to 5s. Default 100ms."),
    ),
    circuit: Type.Optional(
      closed(
        {
          failures: Type.Optional(count("Failures in a row after which the service is left alone. Default 5.")),
          wait: Type.Optional(duration("For how long; one request tries it then. Default 10s.")),
        },
        { description: "When a service that fails is left alone." },
      ),
    ),
    answerBytes: Type.Optional(count("Most bytes of an answer. Default 16777216.")),
    payloadBytes: Type.Optional(
      count("Most bytes of payloads in one request, before they become base64. Default 16777216."),
    ),
    details: Type.Optional(text("Path or address that says what the service is; asked when the graph starts.")),
  },
  { description: "How the service behind an http(s) address is called." },
);

export const cloudEvents = closed(
  {
    source: Type.Optional(text("Where events come from, a URI reference. Default `/graphs/<graph>/nodes/<node>`.")),
    type: Type.Optional(text("Type of the events. Default `millrace.<graph>.<node>`.")),
    subject: Type.Optional(text("Field of a message with the subject.")),
    time: Type.Optional(text("Field of a message with the time.")),
    mode: Type.Optional(
      choice(
        ["batch", "structured", "binary"],
        "Lists of events (http and https only, and their default), one event in a message (the default of brokers), or one with its attributes as headers.",
      ),
    ),
  },
  { description: "Attributes of the events that messages become, with `format: cloudevents`." },
);

/** How a source finds the schemas of its messages. */
export type SourceRegistryDefinition = Static<typeof sourceRegistry>;

/** How a sink finds the schema of its messages. */
export type SinkRegistryDefinition = Static<typeof sinkRegistry>;

/** How a web address is read. */
export type SourceHttpDefinition = Static<typeof sourceHttp>;

/** How a web address is written to, other than by requests. */
export type SinkHttpDefinition = Static<typeof sinkHttp>;

/** How a calculator's service is called. */
export type RestDefinition = Static<typeof rest>;
