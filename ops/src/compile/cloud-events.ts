/** What `format: cloudevents` makes of sources and sinks. */
import {
  type CloudEventAttributes,
  cloudEventFeed,
  cloudEventItem,
  cloudEventSink,
  cloudEventSource,
  type HttpPushOptions,
} from "@millrace/actors";
import type { AnyNodeModel, Feed, SinkConnector, SourceConnector } from "@millrace/engine";

type SourceModel = Extract<AnyNodeModel, { kind: "source" }>;
type SinkModel = Extract<AnyNodeModel, { kind: "sink" }>;

const FORMAT = "cloudevents";

export function feedOfEvents(node: SourceModel, feed: Feed): Feed {
  return node.definition.format === FORMAT ? cloudEventFeed(feed, node.name) : feed;
}

export function sourceOfEvents(node: SourceModel, connector: SourceConnector): SourceConnector {
  return node.definition.format === FORMAT ? cloudEventSource(connector, node.name) : connector;
}

export function pushOfEvents(node: SourceModel): HttpPushOptions {
  return node.definition.format === FORMAT ? { read: (message) => cloudEventItem({ message }, node.name) } : {};
}

/** How a broker's messages carry the events of a sink; `undefined`: rows are none. */
export function eventModeOf({ format, cloudevents }: SinkModel["definition"]): "structured" | "binary" | undefined {
  if (format !== FORMAT) return undefined;
  return cloudevents?.mode === "binary" ? "binary" : "structured";
}

/** Events of a broker may have their attributes beside the message. */
export function addressOfEvents({ definition: { format, from } }: SourceModel, address: string): string {
  const hasEnvelope = ENVELOPED.some((scheme) => from.startsWith(`${scheme}:`)) && !/[?&]envelope=/.test(address);
  if (format !== FORMAT || !hasEnvelope || /^\/\/[^/]+\/kv\//.test(address)) return address;
  return `${address}${address.includes("?") ? "&" : "?"}envelope=true`;
}

/** Brokers whose messages have headers. */
const ENVELOPED = ["kafka", "nats", "rabbitmq", "amqp10", "mqtt"];

/** `undefined`: messages leave as they are. */
function eventAttributes({ name, definition }: SinkModel, graph: string): CloudEventAttributes | undefined {
  if (definition.format !== FORMAT) return undefined;
  const {
    source = `/graphs/${graph}/nodes/${name}`,
    type = `millrace.${graph}.${name}`,
    subject,
    time,
  } = definition.cloudevents ?? {};
  return {
    source,
    type,
    ...(subject === undefined ? {} : { subject }),
    ...(time === undefined ? {} : { time }),
  };
}

export function sinkOfEvents(node: SinkModel, graph: string, open: () => SinkConnector): () => SinkConnector {
  const attributes = eventAttributes(node, graph);
  return attributes === undefined ? open : () => cloudEventSink(open(), attributes);
}
