/** What holds single segments: legal holds, and system streams that nobody here knows how to carry. */
import { type EventLog, METASTREAM } from "@millrace/engine";
import type { RetentionNeed } from "@millrace/streams/embedded";
import { isHeld, type LegalHold } from "./legal-holds.ts";
import { isCarried } from "./prune-carry.ts";

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
      if (isCarried(stream) || stream.startsWith(METASTREAM)) continue;
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
