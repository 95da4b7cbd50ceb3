/** Links: events whose data names another event. */
import type { RecordedEvent } from "@millrace/engine";
import { dataOf } from "./stored-event.ts";

/** What a link points at. */
export interface LinkTarget {
  readonly stream: string;
  readonly revision: number;
}

/** A link's data is `revision@stream`. One that says something else points at nothing. */
export function targetOf(event: RecordedEvent): LinkTarget | undefined {
  const [, digits = "", stream = ""] = /^(\d{1,15})@(.+)$/s.exec(dataOf(event).toString("utf8")) ?? [];
  return stream === "" ? undefined : { stream, revision: Number(digits) };
}
