/** Rows that a graph's sink put into the log under a projection's name. */
import { type Batch, decodeBatch, type RecordedEvent, STEP, type StateEvent, stepOf } from "@millrace/engine";
import { defineProjection, type Projection } from "../projection.ts";

export interface TableProjectionOptions {
  readonly name: string;
  /** Default 1. Another key and other streams build it anew by themselves. */
  readonly version?: number;
  /** Streams of the sink nodes that write to it. */
  readonly streams: readonly string[];
  /** Fields that identify a row; a later row replaces an earlier one. Empty: every row is kept. */
  readonly key: readonly string[];
  /** Batches of rows of an event; default: what projection sinks log in their steps. */
  readonly decodeRows?: (event: RecordedEvent) => readonly Batch[];
}

export function tableProjection(options: TableProjectionOptions): Projection {
  const { name, version = 1, key, decodeRows = rowsOfStep } = options;
  const streams = new Set(options.streams);
  return defineProjection({
    name,
    version,
    key,
    variant: [...streams].sort().join("\n"),
    handles: { types: [STEP], ...(options.streams.length === 1 ? { streamPrefix: options.streams[0] as string } : {}) },
    fold(rows, event) {
      if (!streams.has(event.stream)) return;
      for (const batch of decodeRows(event)) rows.putBatch(batch);
    },
  });
}

/** The batches under `rows` in a step's state events. */
export function rowsOfStep(event: RecordedEvent): readonly Batch[] {
  return stepOf(event).state.flatMap((change) => {
    const rows = (change as { readonly rows?: StateEvent }).rows;
    return rows === undefined ? [] : [decodeBatch(rows)];
  });
}
