/**
 * What a partition removed before it was read: it shows by the first offset that it still has. Offsets that are missing above it
 * were compacted, aborted or are markers of transactions: holes (R2).
 */
import { engineError, type MillraceError } from "@millrace/engine";
import type { OffsetRange, TopicDescription } from "./driver.ts";
import type { RecordPlace } from "./row-decoder.ts";

export function missingTopic(
  { topic, partition }: RecordPlace,
  description: TopicDescription | undefined,
): MillraceError {
  const what = description === undefined ? `topic ${topic}` : `partition ${partition} of topic ${topic}`;
  return engineError("SOURCE-MISSING", `there is no ${what}`, { place: { stream: topic } });
}

export function gapError({ topic, partition }: RecordPlace, from: number, to: number): MillraceError {
  const message = `topic ${topic} removed ${from} to ${to} of partition ${partition} before they were read`;
  return engineError("SOURCE-GAP", message, {
    place: { stream: `${topic}/${partition}`, position: from },
    details: { topic, partition, from, to },
  });
}

/** A partition that ends before what was read of it is not the one that was read. @throws SOURCE-RECREATED */
export function refuseShorter({ topic, partition }: RecordPlace, { end }: OffsetRange, after: number): void {
  if (end > after) return;
  const message = `partition ${partition} of topic ${topic} ends at ${end - 1}, but was read up to ${after}`;
  throw engineError("SOURCE-RECREATED", message, {
    place: { stream: `${topic}/${partition}`, position: after },
    details: { topic, partition, read: after, last: end - 1 },
  });
}
