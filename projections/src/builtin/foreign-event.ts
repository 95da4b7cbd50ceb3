import type { RecordedEvent } from "@millrace/engine";

/** What others append to the log may have any type: an event of theirs that is called `Step` is none of ours. */
export function isOfNoGraph(event: RecordedEvent): boolean {
  return event.context.graph === "";
}
