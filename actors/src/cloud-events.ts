/** Sources whose messages are CloudEvents, and sinks that make them: `format: cloudevents`. */
import {
  cloudEventFromEnvelope,
  type Feed,
  type FeedIntake,
  type FeedItem,
  fieldOf,
  type InputSlice,
  isCloudEvent,
  type Json,
  type JsonObject,
  MillraceError,
  type RejectedInput,
  RowBatch,
  readCloudEvent,
  type SinkConnector,
  type SourceBatch,
  type SourceConnector,
} from "@millrace/engine";

/** One message with its id, or why it is none. `place`: where it comes from, for people. */
export function cloudEventItem(item: FeedItem, place: string): FeedItem {
  if ("error" in item) return item;
  const read = readCloudEvent(cloudEventFromEnvelope(item.message), place);
  return read instanceof MillraceError ? { message: item.message, error: read } : { message: read.event, id: read.id };
}

/** Takes what `feed` sends as events. Each event is taken once, by its source and id, whatever the feed says of ids. */
export function cloudEventFeed(feed: Feed, place: string): Feed {
  return {
    ...(feed.capabilities === undefined ? {} : { capabilities: feed.capabilities }),
    connection: () => feed.connection(),
    run: (into, signal) => feed.run(cloudEventIntake(into, place), signal),
  };
}

function cloudEventIntake(into: FeedIntake, place: string): FeedIntake {
  return {
    cursor: into.cursor,
    take(message, receipt) {
      const item = cloudEventItem({ message }, place);
      // A receipt's own id tells messages apart that are no events, too.
      const known = { ...receipt, ...(item.id === undefined ? {} : { id: item.id }) };
      if ("error" in item) into.reject(item.error, message, known);
      else into.take(item.message, known);
    },
    takeGroup: (group) => into.takeGroup({ ...group, items: group.items.map((item) => cloudEventItem(item, place)) }),
    reject: (error, input, receipt) => into.reject(error, input, receipt),
    lose: (count, reason) => into.lose(count, reason),
  };
}

/** Reads what `connector` reads as events. It reads by position, so an event that its sender sent twice is there twice. */
export function cloudEventSource(connector: SourceConnector, place: string): SourceConnector {
  return {
    capabilities: connector.capabilities,
    ...(connector.connection === undefined ? {} : { connection: connector.connection.bind(connector) }),
    partitions: () => connector.partitions(),
    async open(partition, after, marks) {
      const reader = await connector.open(partition, after, marks);
      return {
        get identity() {
          return reader.identity;
        },
        async read(messagesMax) {
          const read = await reader.read(messagesMax);
          return typeof read === "string" ? read : eventsOf(read, place);
        },
        close: () => reader.close(),
      };
    },
  };
}

function eventsOf(read: SourceBatch, place: string): SourceBatch {
  const { batch, positions, rejected } = read;
  const items = batch.rows().map((message) => cloudEventItem({ message }, place));
  const kept = [...items.keys()].filter((i) => !("error" in (items[i] as FeedItem)));
  const refused = [...items.entries()].flatMap(([i, item]): RejectedInput[] =>
    "error" in item ? [{ pos: positions.pos(i), error: item.error, input: item.message }] : [],
  );
  return {
    ...read,
    batch: new RowBatch(kept.map((i) => (items[i] as FeedItem).message)),
    positions: kept.length === batch.n ? positions : positions.select(Uint32Array.from(kept)),
    rejected: [...rejected, ...refused].sort((a, b) => a.pos - b.pos),
  };
}

export interface CloudEventAttributes {
  /** Where events come from, a URI reference: names the node among all that make events. */
  readonly source: string;
  readonly type: string;
  /** Fields of a message that hold attributes. */
  readonly subject?: string;
  readonly time?: string;
}

/**
 * Gives `sink` events. A message that is one already stays as it is. Any other becomes the data of one whose id is made of lane, position
 * and ordinal, the same however often it is delivered.
 *
 * @throws (from `deliver`) CLOUDEVENT-INVALID a field is no value of its attribute
 */
export function cloudEventSink(sink: SinkConnector, attributes: CloudEventAttributes): SinkConnector {
  return {
    guarantee: sink.guarantee,
    ...(sink.connection === undefined ? {} : { connection: sink.connection.bind(sink) }),
    open: (committed) => sink.open(committed),
    deliver: (slices) => sink.deliver(slices.map((slice) => eventSlice(slice, attributes))),
    close: () => sink.close(),
  };
}

function eventSlice(slice: InputSlice, attributes: CloudEventAttributes): InputSlice {
  const { lane, positions } = slice;
  const rows = slice.batch.rows().map((row, i) => {
    const id = `${lane}/${positions.pos(i)}/${positions.ord(i)}`;
    const read = readCloudEvent(isCloudEvent(row) ? row : eventOf(row, id, attributes), attributes.source);
    if (read instanceof MillraceError) throw read;
    return read.event;
  });
  return { ...slice, batch: new RowBatch(rows) };
}

function eventOf(data: Json, id: string, { source, type, subject, time }: CloudEventAttributes): JsonObject {
  const field = (name: string | undefined): Json => (name === undefined ? null : (fieldOf(data, name) ?? null));
  return {
    specversion: "1.0",
    id,
    source,
    type,
    ...(subject === undefined ? {} : { subject: textOf(field(subject)) }),
    ...(time === undefined ? {} : { time: timeOf(field(time)) }),
    datacontenttype: "application/json",
    data,
  };
}

/** Numbers name things, too. */
const textOf = (value: Json): Json => (typeof value === "number" ? String(value) : value);

/** Event times are ISO 8601 or ms since 1970. */
function timeOf(value: Json): Json {
  const isTime = typeof value === "number" && Math.abs(value) <= 8.64e15;
  return isTime ? new Date(value).toISOString() : value;
}
