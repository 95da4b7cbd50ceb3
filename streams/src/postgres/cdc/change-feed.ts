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

export interface ChangeFeedOptions extends SlotOptions {
  /** Ends with the last transaction that has committed when the feed is first opened. */
  readonly untilNow: boolean;
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
      const started = (process: number, now: bigint): void => {
        earlier = process;
        if (options.untilNow) end ??= now;
      };
      const config = sessionConfig(client);
      const stream = { ...options, env, client, config, intake, progress, earlier, started, end: () => end };
      await new ChangeStream(stream).run();
      hasEnded = true;
    },
  };
}
