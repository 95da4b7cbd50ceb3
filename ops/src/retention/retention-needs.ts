/** What a host still needs of its log besides its graphs: asked before anything is pruned. It errs on the side of keeping. */
import { type EventLog, METASTREAM } from "@millrace/engine";
import { DEAD_LETTERS, deadLetterOf, type ProjectionRunner } from "@millrace/projections";
import type { RetentionNeed } from "@millrace/streams/embedded";
import { isHeld, type LegalHold, RETENTION_STREAM } from "./legal-holds.ts";

/** Of the EventStoreDB protocol: which groups there are. Each goes on from a position of its own. */
const GROUPS_STREAM = "$persistentSubscriptionConfig";
/** Nodes of which each oldest dead letter is named, so that an answer stays readable. */
const LETTERS_MAX = 1000;

/** @param base first position that can be read */
export async function hostNeeds(
  log: EventLog,
  base: number,
  holds: readonly LegalHold[],
): Promise<readonly RetentionNeed[]> {
  const needs: RetentionNeed[] = holds.map(({ name, position }) => ({
    code: "HELD-RECORD",
    name: `the record of legal hold ${name}`,
    position,
    place: { stream: RETENTION_STREAM },
    remedy: `millrace log hold release ${name}, when it may be`,
  }));
  if ((await log.head(GROUPS_STREAM)) >= 0)
    needs.push({
      code: "HELD-GROUPS",
      name: "persistent subscriptions",
      position: base,
      place: { stream: GROUPS_STREAM },
      remedy: "none while an EventStoreDB client has ever made a persistent subscription",
    });
  return needs;
}

/** Dead letters that wait for a decision: of each node the oldest. They would be gone from a projection that is made again. */
export async function waitingLetters(projections: Pick<ProjectionRunner, "query">): Promise<readonly RetentionNeed[]> {
  const query = { where: { state: "waiting" }, order: "asc", limit: LETTERS_MAX } as const;
  const { rows } = await projections.query(DEAD_LETTERS, query);
  const oldest = new Map<string, RetentionNeed>();
  for (const { id, graph, node, position } of rows.map(deadLetterOf)) {
    const key = JSON.stringify([graph, node]);
    if (oldest.has(key)) continue;
    oldest.set(key, {
      code: "HELD-DEAD-LETTER",
      name: `the graph ${graph}: dead letter ${id} of ${node} waits for a decision`,
      position,
      place: { graph, node },
      remedy: `millrace dlq redrive ${id}, or millrace dlq discard ${id}`,
    });
  }
  return [...oldest.values()];
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
      if (stream === RETENTION_STREAM || stream.startsWith(METASTREAM)) continue;
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
