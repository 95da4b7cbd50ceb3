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
