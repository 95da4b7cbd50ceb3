/** What the connectors and edges of Millrace send: rows of a sink in batches, and frames of an edge, each a record. */
import { FRAME_ROWS, ROW } from "../edge/edge-rows.mjs";

const FRAME_BYTES = 32 * 1024;

/** A row of a sink: a key, JSON, and the header that says which row it is. */
export const ROWS = Array.from({ length: FRAME_ROWS }, (_, i) => ({
  key: `sensor-${i & 255}`,
  value: ROW,
  headers: { "millrace-id": `graph%2Fout/origin/${1_000_000 + i}/0` },
}));

/** Of an edge that is ahead of its brokers: what waits goes together. */
export const FRAMES_WAITING = Array.from({ length: 8 }, (_, i) => ({
  key: null,
  value: Buffer.alloc(FRAME_BYTES, ROW),
  headers: { "millrace-frame": String(i) },
}));

/** The topic begins with so many rows and then frames, for all to read. */
export const ROWS_READ = 40 * ROWS.length;
export const FRAMES_READ = 50 * FRAMES_WAITING.length;

export const TOPIC = "records";
export const TRANSACTIONS = "transactions";
