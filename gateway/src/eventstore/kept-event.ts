/** Single events that outlive a prune because a group has parked them: carried under a name of their own, which no stream has. */
import type { EventLog, RecordedEvent } from "@millrace/engine";
import type { LinkTarget } from "./link-target.ts";
import { isPruned } from "./pruned.ts";

/** Under which name an event is carried that a group still needs. */
export function keptEventName({ stream, revision }: LinkTarget): string {
  return `$event/${revision}@${stream}`;
}

/** What `use` makes of an event, at once; nothing when the event is neither in the log nor carried. */
export async function withKept<T>(
  log: Pick<EventLog, "readStream" | "carried">,
  target: LinkTarget,
  use: (event: RecordedEvent) => T,
): Promise<T | undefined> {
  const { stream, revision } = target;
  try {
    for await (const [event] of log.readStream(stream, { from: revision, limit: 1 }))
      if (event?.revision === revision) return use(event);
  } catch (thrown) {
    if (!isPruned(thrown)) throw thrown;
  }
  const [kept] = (await log.carried?.(keptEventName(target)))?.events ?? [];
  return kept && use(kept);
}
