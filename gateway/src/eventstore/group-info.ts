/** `SubscriptionInfo`: what a persistent subscription is set to, and how it stands. */
import type { EndpointContext } from "./endpoint-context.ts";
import type { Group } from "./group.ts";
import { ALL, type GroupDefinition } from "./group-settings.ts";
import type { WireWriter } from "./wire-writer.ts";

export async function groupInfo(
  group: Group,
  { log, streams }: EndpointContext,
): Promise<(writer: WireWriter) => void> {
  const parked = await group.parked.count();
  const { stream } = group.definition;
  const end = stream === ALL ? log.durableEnd : (await streams.head(stream)) + 1;
  return (writer) => {
    writeIdentity(writer, group);
    writeSettings(writer, group.definition);
    writer
      .text(8, placeText(stream, group.checkpoint - 1))
      .text(9, placeText(stream, end - 1))
      .uint(21, group.readCount)
      .uint(23, group.retryCount)
      .uint(24, group.inFlightCount)
      .uint(25, group.inFlightCount)
      .uint(28, parked);
  };
}

function writeIdentity(writer: WireWriter, { definition, subscribers }: Group): void {
  writer
    .text(1, definition.stream)
    .text(2, definition.group)
    .text(3, subscribers.length > 0 ? "Live" : "NotReady");
  for (const subscriber of subscribers) {
    const name = subscriber.call.headers["connection-name"];
    writer.message(4, (connection) =>
      connection
        .text(1, subscriber.call.local.address)
        .text(2, subscriber.author.principal)
        .uint(4, subscriber.delivered)
        .uint(7, subscriber.slots - subscriber.inFlight)
        .uint(8, subscriber.inFlight)
        .text(9, typeof name === "string" ? name : ""),
    );
  }
  writer.uint(
    6,
    subscribers.reduce((sum, { delivered }) => sum + delivered, 0),
  );
}

function writeSettings(writer: WireWriter, { stream, settings }: GroupDefinition): void {
  const { from } = settings;
  writer
    .bool(10, settings.resolveLinks)
    .text(11, placeText(stream, typeof from === "number" ? from : from === "start" ? 0 : -1))
    .uint(12, settings.messageTimeoutMs)
    .bool(13, settings.extraStatistics)
    .uint(14, settings.maxRetryCount)
    .uint(15, settings.liveBufferSize)
    .uint(16, settings.historyBufferSize)
    .uint(17, settings.readBatchSize)
    .uint(18, settings.checkpointAfterMs)
    .uint(19, settings.minCheckpointCount)
    .uint(20, settings.maxCheckpointCount)
    .text(26, settings.strategy)
    .uint(27, settings.maxSubscriberCount);
}

/** Revisions and positions as EventStoreDB writes them; -1 is the end, or nothing yet. */
function placeText(stream: string, place: number): string {
  return stream === ALL ? `C:${place}/P:${place}` : String(place);
}
