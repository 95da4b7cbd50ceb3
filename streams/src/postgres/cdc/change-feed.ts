/**
 * Changes of the tables of a publication, by logical replication. What is handed over is first durable in Millrace's log, and then confirmed to
 * the server, which forgets it; so the cursor is there, and the slot is never ahead of it.
 */
import { type Env, MillraceError } from "@millrace/engine";
import type { Client } from "pg";
import type { FeedDriver } from "../../resilience/resilient-feed.ts";
import { sessionConfig } from "../postgres-connection.ts";
import { cursorOf } from "./change-cursor.ts";
import { ChangeProgress } from "./change-progress.ts";
import { ChangeStream } from "./change-stream.ts";
import type { SlotOptions } from "./replication-slot.ts";
import { OID_MAX, throughOf } from "./rows-read.ts";
import { TableRows } from "./table-rows.ts";

export interface ChangeFeedOptions extends SlotOptions {
  /** Ends with the last transaction that has committed when the feed is first opened. */
  readonly untilNow: boolean;
  /** A source that begins now also reads the rows that are there. */
  readonly beginsWithRows: boolean;
  readonly probeEveryMs: number;
  readonly probeTimeoutMs: number;
}

/** Waiting cures neither: somebody must decide. */
const FINAL: ReadonlySet<string> = new Set(["SOURCE-GAP", "SOURCE-RECREATED"]);

export function changeFeed(options: ChangeFeedOptions, env: Env): FeedDriver<Client> {
  const progress = new ChangeProgress();
  let earlier: number | undefined;
  let end: bigint | undefined;
  let hasEnded = false;
  return {
    capabilities: { resume: true, ordered: true, pause: true, nack: true },
    hasEnded: () => hasEnded,
    isFinal: (error) => error instanceof MillraceError && FINAL.has(error.code),
    async listen(client, intake) {
      progress.taken ??= cursorOf(intake.cursor);
      const started = (now: bigint, process = earlier): void => {
        earlier = process;
        if (options.untilNow) end ??= now;
      };
      const session = { ...options, env, client, config: sessionConfig(client), intake, progress, started };
      if (hasRowsToRead(options, progress)) await new TableRows({ ...session, earlier }).run();
      await new ChangeStream({ ...session, earlier, end: () => end }).run();
      hasEnded = true;
    },
  };
}

/** What was begun is finished, whatever the address says by now. */
function hasRowsToRead({ beginsWithRows }: ChangeFeedOptions, { taken }: ChangeProgress): boolean {
  if (taken === undefined) return beginsWithRows;
  return taken.rows !== undefined && throughOf(taken.rows) < OID_MAX;
}
