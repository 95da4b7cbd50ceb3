/** Flights for tests of windows by hour: drawn, as rows and as columns, with what is late among them, and aggregated the obvious way. */
import { type Batch, type Column, ColumnBatch, type Dictionary, type Json, RowBatch } from "@millrace/engine";
import fc from "fast-check";

export const HOUR = 3_600_000;

export interface Message {
  readonly date: number;
  readonly origin: string | null;
  readonly delay: number | null;
}

export type Make = (messages: readonly Message[]) => Batch;

export const asRows: Make = (messages) =>
  new RowBatch(messages.map((m) => ({ ...m, date: new Date(m.date).toISOString() })));

/** Columns behind a selection that skips every second physical row, so that logical and physical indices differ. */
export function asColumns(dictionary: Dictionary): Make {
  return (messages) => {
    const n = messages.length * 2;
    const dates = new Float64Array(n);
    const delays = new Float64Array(n).fill(1e6);
    const nulls = new Uint8Array(n);
    const codes = new Uint32Array(n);
    const selection = new Uint32Array(messages.length);
    for (const [i, m] of messages.entries()) {
      const at = 2 * i + 1;
      selection[i] = at;
      dates[at] = m.date;
      delays[at] = m.delay ?? 7;
      nulls[at] = m.delay === null ? 1 : 0;
      codes[at] = dictionary.code(m.origin);
    }
    const columns = new Map<string, Column>([
      ["date", { type: "time", values: dates, nulls: null }],
      ["origin", { type: "dictionary", codes, dictionary, nulls: null }],
      ["delay", { type: "number", values: delays, nulls }],
    ]);
    return new ColumnBatch(columns, selection, messages.length);
  };
}

/** Watermark and late marks of an origin that allows messages to be `boundMs` out of order. */
export function marksOf(messages: readonly Message[], boundMs: number): { marks: (number | null)[]; after: number[] } {
  let watermark = Number.NEGATIVE_INFINITY;
  const marks: (number | null)[] = [];
  const after: number[] = [];
  for (const m of messages) {
    marks.push(m.date < watermark ? watermark : null);
    watermark = Math.max(watermark, m.date - boundMs);
    after.push(watermark);
  }
  return { marks, after };
}

/** The same aggregate the slow and obvious way: every message is put into every hour that holds it. */
export function naive(
  messages: readonly Message[],
  latenessMs: number,
  everyMs = HOUR,
): { rows: Json[]; dropped: number } {
  const { marks } = marksOf(messages, 2 * HOUR);
  const last = (m: Message): number => Math.floor(m.date / everyMs) * everyMs;
  const onTime = messages.filter((m, i) => last(m) + everyMs + latenessMs > (marks[i] ?? Number.NEGATIVE_INFINITY));
  const dropped = messages.length - onTime.length;
  const groups = new Map<string, Message[]>();
  // Keys of a window come in the order of its parts.
  for (const m of onTime.toSorted((a, b) => last(a) - last(b)))
    for (let start = last(m); start > last(m) - HOUR; start -= everyMs) {
      const key = JSON.stringify([start, m.origin]);
      groups.set(key, [...(groups.get(key) ?? []), m]);
    }
  const rows = [...groups].map(([key, members]) => {
    const [start, origin] = JSON.parse(key) as [number, string | null];
    const delays = members.flatMap((m) => (m.delay === null ? [] : [m.delay]));
    const sum = delays.reduce((a, b) => a + b, 0);
    return {
      origin,
      window_start: new Date(start).toISOString(),
      window_end: new Date(start + HOUR).toISOString(),
      flights: members.length,
      known: delays.length,
      sum,
      avg: delays.length === 0 ? null : sum / delays.length,
      min: delays.length === 0 ? null : Math.min(...delays),
      max: delays.length === 0 ? null : Math.max(...delays),
    };
  });
  // A stable sort keeps the first-seen order of keys inside a window.
  return {
    rows: rows.sort((a, b) => (a.window_start < b.window_start ? -1 : a.window_start > b.window_start ? 1 : 0)),
    dropped,
  };
}

export const messagesArb = fc.array(
  fc.record({
    date: fc.integer({ min: -6 * HOUR, max: 9 * HOUR }),
    origin: fc.constantFrom("ATL", "JFK", "SFO", "", null),
    delay: fc.option(fc.integer({ min: -60, max: 600 }), { freq: 5 }),
  }),
  { maxLength: 60 },
);
/** Tumbling, and hopping. */
export const everyArb = fc.constantFrom(HOUR, HOUR / 2, HOUR / 4);
