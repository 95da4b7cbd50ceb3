/**
 * What outlives the records below the base: the end of every stream, the names that numbers stand for, and the time of the
 * last event (L-R26). This is what records add to it, in memory; what was carried before stands in a file (`carry-file.ts`).
 */
import { METASTREAM, type StoredRecord } from "@millrace/engine";
import type { CarriedEnd } from "./carried-end.ts";
import { decodeNames, type Name, TYPE_NAME } from "./dictionary.ts";
import { viewOf } from "./little-endian.ts";
import { revisionAt, schemaVersionAt, streamAt, timeMsAt, typeAt } from "./record.ts";

/** Of some records, as far as appends and readers of streams need it. */
export class Carry {
  /** By the stream's number. */
  readonly ends = new Map<number, CarriedEnd>();
  readonly names: Name[] = [];
  /** Time of the last event, in ms since 1970. */
  timeMs = 0;

  /** The next record. */
  add({ header, payload, isControl }: StoredRecord, streamName: (number: number) => string): void {
    const view = viewOf(header);
    this.timeMs = Math.max(this.timeMs, timeMsAt(view, 0));
    if (isControl) {
      if (typeAt(view, 0) === TYPE_NAME) this.names.push(...decodeNames(payload));
      return;
    }
    const stream = streamAt(view, 0);
    const keeps = streamName(stream).startsWith(METASTREAM);
    this.ends.set(stream, {
      revision: revisionAt(view, 0),
      type: typeAt(view, 0),
      schemaVersion: schemaVersionAt(view, 0),
      record: keeps ? Buffer.concat([header, payload]) : undefined,
    });
  }
}
