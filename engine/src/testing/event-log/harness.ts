import type { EventLog } from "../../log/event-log.ts";

/** One log under test, on storage of its own. */
export interface EventLogHarness {
  readonly log: EventLog;
  /** Closes the log and opens what it stored again. A volatile log may return itself, still open. */
  reopen(): Promise<EventLog>;
  /** Closes whatever is open and frees the storage. */
  destroy(): Promise<void>;
  /** True when nothing survives the process, so that `reopen` proves nothing about storage. */
  readonly volatile?: boolean;
  /** True when one append goes to one stream; appends to several must then be refused with LOG-ONE-STREAM. */
  readonly oneStream?: boolean;
}

export type MakeEventLog = () => Promise<EventLogHarness>;

/** Runs `body` on a fresh log and destroys it afterwards, also when `body` fails. */
export async function withLog(
  make: MakeEventLog,
  body: (log: EventLog, harness: EventLogHarness) => Promise<void>,
): Promise<void> {
  const harness = await make();
  try {
    await body(harness.log, harness);
  } finally {
    await harness.destroy();
  }
}
