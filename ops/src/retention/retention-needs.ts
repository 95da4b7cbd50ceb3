/** What a host still needs of its log besides its graphs: asked before anything is pruned. It errs on the side of keeping. */
import { type EventLog, METASTREAM } from "@millrace/engine";
import type { RetentionNeed } from "@millrace/streams/embedded";
import { isHeld, type LegalHold } from "./legal-holds.ts";
import { CARRIED_SYSTEM_STREAMS } from "./prune-carry.ts";

/** Of the EventStoreDB protocol: which groups there are. Each goes on from a position of its own. */
const GROUPS_STREAM = "$persistentSubscriptionConfig";

/** @param base first position that can be read */
export async function hostNeeds(log: EventLog, base: number): Promise<readonly RetentionNeed[]> {
  if ((await log.head(GROUPS_STREAM)) < 0) return [];
  const remedy = "none: an EventStoreDB client has made one, and where it is with it is in its own streams";
  const place = { stream: GROUPS_STREAM };
  return [{ code: "HELD-GROUPS", name: "persistent subscriptions", position: base, place, remedy }];
}

/** Who holds the events of `[from, end)`; `undefined` when nobody does. */
export async function heldBy(
  log: EventLog,
  holds: readonly LegalHold[],
  from: number,
  end: number,
): Promise<RetentionNeed | undefined> {
  for await (const events of log.read({ from, limit: end - from })) {
    for (const event of events) {
      const { stream, position } = event;
      const hold = holds.find((candidate) => isHeld(candidate, event));
      if (hold !== undefined) return heldByLaw(hold, position);
      if (CARRIED_SYSTEM_STREAMS.has(stream) || stream.startsWith(METASTREAM)) continue;
      if (stream.startsWith("$") && (await log.head(stream)) === event.revision)
        return { code: "HELD-STREAM", name: `the stream ${stream}`, position, place: { stream } };
    }
  }
  return undefined;
}

function heldByLaw({ name }: LegalHold, position: number): RetentionNeed {
  const remedy = `millrace log hold release ${name}, when it may be`;
  return { code: "HELD-LEGAL", name: `the legal hold ${name}`, position, remedy };
}
