/** Reads single events at known places; neighbours in a file are read together. */

import { recordCorrupt } from "./block-records.ts";
import type { Crc32c } from "./crc32c.ts";
import type { Dictionary } from "./dictionary.ts";
import { viewOf } from "./little-endian.ts";
import { positionAt, RECORD_HEADER_BYTES, recordCrcHolds, recordLengthAt } from "./record.ts";
import { LogRecord } from "./recorded-event.ts";
import type { SegmentReaders } from "./segment-readers.ts";
import type { RecordLocation } from "./tail-table.ts";

/** Locations closer than this are read in one go. */
const GAP_BYTES = 16 * 1024;
const RUN_BYTES_MAX = 1024 * 1024;
/** Read beyond the last location of a run, so that most records need no second read. */
const LOOK_AHEAD_BYTES = 4096;

export class RecordFetcher {
  readonly #files: SegmentReaders;
  readonly #crc: Crc32c;
  readonly #names: Dictionary;
  readonly #segmentBytes: number;
  readonly #checked: boolean;

  constructor(files: SegmentReaders, crc: Crc32c, names: Dictionary, segmentBytes: number, checked: boolean) {
    this.#files = files;
    this.#crc = crc;
    this.#names = names;
    this.#segmentBytes = segmentBytes;
    this.#checked = checked;
  }

  /** In the order of `locations`. @throws LOG-CORRUPT when a record is not what it was */
  async fetch(locations: readonly RecordLocation[]): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    for (let at = 0; at < locations.length; ) {
      const run = runFrom(locations, at);
      records.push(...(await this.#fetchRun(run)));
      at += run.length;
    }
    return records;
  }

  async #fetchRun(run: readonly RecordLocation[]): Promise<LogRecord[]> {
    const offsets = run.map((location) => location.offset);
    const from = Math.min(...offsets);
    const to = Math.min(Math.max(...offsets) + LOOK_AHEAD_BYTES, this.#segmentBytes);
    const serial = (run[0] as RecordLocation).serial;
    const bytes = Buffer.allocUnsafeSlow(to - from);
    await this.#files.read(serial, bytes, from);
    const view = viewOf(bytes);
    const records: LogRecord[] = [];
    for (const location of run) {
      const at = location.offset - from;
      const length = view.getUint32(at, true);
      if (at + length <= bytes.length) records.push(this.#record(bytes, view, at, location));
      else records.push(await this.#fetchLong(location, length));
    }
    return records;
  }

  async #fetchLong(location: RecordLocation, length: number): Promise<LogRecord> {
    const whole = Math.min(Math.max(length, RECORD_HEADER_BYTES), this.#segmentBytes - location.offset);
    const bytes = Buffer.allocUnsafeSlow(whole);
    await this.#files.read(location.serial, bytes, location.offset);
    return this.#record(bytes, viewOf(bytes), 0, location);
  }

  #record(bytes: Buffer, view: DataView, at: number, location: RecordLocation): LogRecord {
    const length = recordLengthAt(view, at, bytes.length);
    const whole =
      length > 0 &&
      positionAt(view, at) === location.position &&
      (!this.#checked || recordCrcHolds(view, at, length, this.#crc));
    if (!whole) throw recordCorrupt(this.#files.pathOf(location.serial), location.offset, location.position);
    return new LogRecord(bytes, view, at, this.#names);
  }
}

function runFrom(locations: readonly RecordLocation[], start: number): RecordLocation[] {
  const first = locations[start] as RecordLocation;
  const run = [first];
  let low = first.offset;
  let high = first.offset;
  for (let i = start + 1; i < locations.length; i++) {
    const next = locations[i] as RecordLocation;
    const near = next.offset < low ? low - next.offset <= GAP_BYTES : next.offset - high <= GAP_BYTES;
    low = Math.min(low, next.offset);
    high = Math.max(high, next.offset);
    if (next.serial !== first.serial || !near || high - low > RUN_BYTES_MAX) break;
    run.push(next);
  }
  return run;
}
