/**
 * Rows as they were: the log folded up to a position into memory. The newest few are kept, because a person who looks at one
 * moment asks more than once.
 */
import type { EventLog } from "@millrace/engine";
import { type Projection, presentEvent } from "./projection.ts";
import { MemoryRows } from "./row/memory-rows.ts";
import { Shapes } from "./row/row-codec.ts";
import { RowTable } from "./row/row-table.ts";

/** The rows of a projection at a position. */
export interface PastRows {
  readonly position: number;
  readonly rows: MemoryRows;
  readonly shapes: Shapes;
}

/** A moment: a position of the log, exclusive, or the end of a millisecond since 1970. */
export type Moment = { readonly position: number } | { readonly timeMs: number };

const KEPT_MAX = 4;

export class Past {
  readonly #log: EventLog;
  readonly #kept = new Map<string, Promise<PastRows>>();

  constructor(log: EventLog) {
    this.#log = log;
  }

  at(projection: Projection, moment: Moment): Promise<PastRows> {
    const name = JSON.stringify([projection.name, projection.version, moment]);
    const kept = this.#kept.get(name) ?? foldUpTo(this.#log, projection, moment);
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
    kept.catch(() => this.#kept.delete(name));
    return kept;
  }
}

/** Folds everything before `moment`. */
export async function foldUpTo(log: EventLog, projection: Projection, moment: Moment): Promise<PastRows> {
  const rows = new MemoryRows();
  const shapes = new Shapes();
  const table = new RowTable(projection, shapes, rows);
  const end =
    "position" in moment ? Math.min(moment.position, log.durableEnd) : await positionAfter(log, moment.timeMs);
  for await (const events of log.read({ filter: projection.handles })) {
    for (const event of events) {
      if (event.position >= end) return { position: end, rows, shapes };
      table.at(event.position);
      projection.fold(table, presentEvent(projection, event));
    }
  }
  return { position: end, rows, shapes };
}

/** The first position whose event is later than `timeMs`. Time never falls with position, so it is found by halving. */
export async function positionAfter(log: EventLog, timeMs: number): Promise<number> {
  let low = 0;
  let high = log.durableEnd;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((await timeAt(log, middle)) <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function timeAt(log: EventLog, position: number): Promise<number> {
  for await (const [event] of log.read({ from: position, limit: 1 })) if (event !== undefined) return event.timeMs;
  return Number.POSITIVE_INFINITY;
}
