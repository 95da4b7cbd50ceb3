/** Opens the slot where the source is, and hands over what the slot has lost as a dead letter with the range. */
import type { FeedIntake } from "@millrace/engine";
import type { Client } from "pg";
import { cursorAt } from "./change-cursor.ts";
import type { ChangeProgress } from "./change-progress.ts";
import { lsnText } from "./lsn.ts";
import { openSlot, type SlotOptions, type SlotStart } from "./replication-slot.ts";
import { NO_ROWS_READ } from "./rows-read.ts";

export interface SlotEntry extends SlotOptions {
  readonly intake: FeedIntake;
  readonly progress: ChangeProgress;
  /** Process of the server that streamed to this source before. */
  readonly earlier: number | undefined;
  /** A source that begins now also reads the rows that are there. */
  readonly beginsWithRows: boolean;
}

/** @param confirmed called when the server may be told of what was handed over */
export async function enterSlot(client: Client, entry: SlotEntry, confirmed: () => void): Promise<SlotStart> {
  const { intake, progress, earlier, beginsWithRows, publication, slot } = entry;
  const { taken } = progress;
  const start = await openSlot(client, entry, taken, earlier);
  const rows = taken === undefined && beginsWithRows ? NO_ROWS_READ : taken?.rows;
  // Where a source begins everything is durable; what it has taken since need not be, when it comes back over another connection.
  progress.confirmed ??= start.cursor.lsn;
  const cursor = cursorAt(start.cursor.system, start.cursor, rows);
  if (start.gap === undefined) progress.taken = cursor;
  else {
    const { from, to, error } = start.gap;
    const message = { publication, slot, from: lsnText(from), to: lsnText(to) };
    progress.hand(intake, { items: [{ message, error }], bytes: 0 }, cursor, confirmed);
  }
  return start;
}
