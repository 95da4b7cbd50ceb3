/** How the lines of a file become messages. */
import type { Batch } from "@millrace/engine";
import type { LineScanner } from "./line-scanner.ts";

/** The messages of one batch in the making. */
export interface RecordBatch {
  readonly n: number;
  /** Messages that it still takes. */
  readonly room: number;
  build(): Batch;
}

/** `wait`: the record goes on in lines that are not there yet. `nothing`: the line holds no message (it is empty). */
export type RecordResult = "taken" | "nothing" | "wait" | RecordFault;

export interface RecordFault {
  readonly code: "MSG-DECODE" | "MSG-SIZE";
  readonly reason: string;
}

/** Several records that were read at once. */
export interface RecordRun {
  /** Of each record that is a message, the index behind its line end in the scanner's bytes. */
  readonly ends: Uint32Array;
  /** Index of the first byte that was not read. */
  readonly next: number;
}

export interface RecordFormat<B extends RecordBatch> {
  /** Reads what stands in front of the first record, if the format has such a thing: the scanner stands on the first line. */
  begin?(scanner: LineScanner, isEnd: boolean): RecordResult;
  batch(): B;
  /**
   * Adds as many records as it can, at most `recordsMax`, from those that begin at the scanner's `untaken` and are whole. `undefined`:
   * none; the next record is for {@link add}.
   */
  addRun?(scanner: LineScanner, batch: B, recordsMax: number): RecordRun | undefined;
  /** Adds the current record to the batch. The scanner stands on its first line; `isEnd`: nothing will follow. */
  add(scanner: LineScanner, batch: B, isEnd: boolean): RecordResult;
}

const BOM = [0xef, 0xbb, 0xbf];

/** The current line without a byte order mark at the beginning of the file, and without a carriage return at its end. */
export function bounds(scanner: LineScanner): { start: number; end: number } {
  const { bytes } = scanner;
  let { start, end } = scanner;
  if (scanner.startOffset === 0 && BOM.every((byte, i) => start + i < end && bytes[start + i] === byte))
    start += BOM.length;
  if (end > start && bytes[end - 1] === 0x0d) end--;
  return { start, end };
}

export const NOT_UTF8: RecordFault = { code: "MSG-DECODE", reason: "not UTF-8" };
