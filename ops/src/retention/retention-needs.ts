/** What a host still needs of its log: asked before anything is pruned. It errs on the side of keeping. */
import { type EventLog, METASTREAM } from "@millrace/engine";
import type { RetentionNeed } from "@millrace/streams/embedded";
import { GRAPHS_STREAM } from "../host/graph-stream.ts";
import { isHeld, type LegalHold, RETENTION_STREAM } from "./legal-holds.ts";

/** Of the EventStoreDB protocol: which groups there are. Each goes on from a position of its own. */
const GROUPS_STREAM = "$persistentSubscriptionConfig";

/** @param base first position that can be read */
export async function hostNeeds(
  log: EventLog,
  base: number,
  holds: readonly LegalHold[],
): Promise<readonly RetentionNeed[]> {
  const needs: RetentionNeed[] = holds.map(({ name, position }) => ({
    name: `the record of legal hold ${name}`,
    position,
  }));
  // What graphs there are, their revisions, and what was ever redriven are read from the first deployment on; the identity of a source
  // stands where it was first read; and a snapshot of a node is a cache, which is not read under another revision of its graph.
  for await (const [first] of log.readStream(GRAPHS_STREAM, { limit: 1 }))
    if (first !== undefined) needs.push({ name: `the graph ${first.context.graph}`, position: first.position });
  if ((await log.head(GROUPS_STREAM)) >= 0) needs.push({ name: "persistent subscriptions", position: base });
  return needs;
}

/** Who holds the events of `[from, end)`; `undefined` when nobody does. */
export async function heldBy(
  log: EventLog,
  holds: readonly LegalHold[],
  from: number,
  end: number,
): Promise<string | undefined> {
  for await (const events of log.read({ from, limit: end - from })) {
    for (const event of events) {
      const hold = holds.find((candidate) => isHeld(candidate, event));
      if (hold !== undefined) return `the legal hold ${hold.name}`;
      if (event.stream === RETENTION_STREAM || event.stream.startsWith(METASTREAM)) continue;
      const isSystem = event.stream.startsWith("$");
      if (isSystem && (await log.head(event.stream)) === event.revision) return `the stream ${event.stream}`;
    }
  }
  return undefined;
}
